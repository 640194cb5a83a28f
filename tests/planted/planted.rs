// SPDX-License-Identifier: GPL-2.0

//! A module with bugs. Loading it with `bug=N` triggers one of them, so that tests can verify that
//! the kernel reports such a bug, and that the harness detects the report.

use core::hint::black_box;
use kernel::{
    new_condvar,
    new_mutex,
    new_spinlock,
    prelude::*,
    sync::{
        CondVar,
        Mutex,
        SpinLock, //
    }, //
};

module! {
    type: Planted,
    name: "planted_bugs",
    authors: ["The dm-remap developers"],
    description: "bugs that the kernel's checkers must see",
    license: "GPL",
    params: {
        bug: u8 {
            default: 0,
            description: "which bug happens",
        },
    },
}

unsafe extern "C" {
    /// `1 << bits` in C, without a check of `bits`.
    fn planted_shift(bits: i32) -> i32;
    /// Sleeps where that is forbidden, although the context would allow it.
    fn planted_sleep();
}

#[pin_data]
struct Locks {
    #[pin]
    first: Mutex<()>,
    #[pin]
    second: Mutex<()>,
    #[pin]
    atomic: SpinLock<()>,
    #[pin]
    never: CondVar,
}

impl Locks {
    fn new() -> Result<Pin<KBox<Self>>> {
        KBox::pin_init(
            pin_init!(Self {
                first <- new_mutex!((), "planted::first"),
                second <- new_mutex!((), "planted::second"),
                atomic <- new_spinlock!((), "planted::atomic"),
                never <- new_condvar!("planted::never"),
            }),
            GFP_KERNEL,
        )
    }
}

struct Planted;

impl kernel::Module for Planted {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let bug = *module_parameters::bug.value();
        match bug {
            1 => read_freed_memory()?,
            2 => overflow(bug),
            3 => take_locks_in_two_orders()?,
            4 => allocate_with_a_spinlock()?,
            5 => shift_too_far(),
            6 => leak()?,
            7 => wait_forever()?,
            8 => sleep_where_none_may(),
            _ => return Err(EINVAL),
        }
        Ok(Self)
    }
}

fn read_freed_memory() -> Result {
    let raw = KBox::into_raw(KBox::new([1u64; 8], GFP_KERNEL)?);
    // SAFETY: The pointer comes from `into_raw`.
    drop(unsafe { KBox::from_raw(raw) });
    // SAFETY: None: this is the bug.
    black_box(unsafe { raw.cast::<u64>().read_volatile() });
    Ok(())
}

fn overflow(by: u8) {
    black_box(black_box(u8::MAX) + by);
}

fn take_locks_in_two_orders() -> Result {
    let locks = Locks::new()?;
    {
        let _first = locks.first.lock();
        let _second = locks.second.lock();
    }
    let _second = locks.second.lock();
    let _first = locks.first.lock();
    Ok(())
}

fn allocate_with_a_spinlock() -> Result {
    let locks = Locks::new()?;
    let _guard = locks.atomic.lock();
    black_box(KBox::new(1u64, GFP_KERNEL)?);
    Ok(())
}

fn shift_too_far() {
    // SAFETY: The function accepts any number; the missing check is the bug.
    black_box(unsafe { planted_shift(black_box(40)) });
}

fn sleep_where_none_may() {
    // SAFETY: May be called by any task; the sleep is the bug.
    unsafe { planted_sleep() };
}

fn leak() -> Result {
    for _ in 0..500 {
        let memory = KBox::new([1u64; 8], GFP_KERNEL)?;
        black_box(KBox::leak(memory));
    }
    Ok(())
}

fn wait_forever() -> Result {
    let locks = Locks::new()?;
    let mut guard = locks.first.lock();
    loop {
        locks.never.wait(&mut guard);
    }
}
