// SPDX-License-Identifier: GPL-2.0

//! Counters that every CPU keeps for itself.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h).

use crate::bindings;
use core::marker::PhantomData;
use core::ptr::NonNull;
use kernel::{
    cpu::nr_cpu_ids,
    error::code::ENOMEM,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

/// The names of a set of counters.
pub trait Counter: Copy {
    /// How many there are.
    const COUNT: usize;

    /// The place of this one; counters at [`Self::COUNT`] and beyond are not kept.
    fn place(self) -> usize;
}

/// A set of 64-bit counters for each CPU.
///
/// Counting touches the CPU's own memory only, without a lock: on x86 it is one instruction. It may
/// be done in any context. Reading adds up all possible CPUs.
///
/// # Examples
///
/// ```ignore
/// let counters = Counters::<Count>::new()?;
/// counters.add(Count::Reads, 1);
/// assert_eq!(counters.sum(Count::Reads), 1);
/// ```
///
/// # Invariants
///
/// `base` is a per-CPU allocation of `C::COUNT` zero-initialised `u64`, owned by this value.
pub struct Counters<C> {
    base: NonNull<u64>,
    _names: PhantomData<C>,
}

// SAFETY: A per-CPU allocation belongs to no thread and may be freed by any.
unsafe impl<C> Send for Counters<C> {}
// SAFETY: The counters are changed by `this_cpu_add` and read by atomic loads only, both of which
// may run concurrently.
unsafe impl<C> Sync for Counters<C> {}

impl<C: Counter> Counters<C> {
    /// Allocates the set, all zero. May sleep.
    pub fn new() -> Result<Self> {
        let size = const {
            // A `this_cpu_add` is a load and a store where there is no instruction for it.
            assert!(usize::BITS == 64, "counters would be read in halves");
            assert!(C::COUNT <= isize::MAX as usize / size_of::<u64>());
            if C::COUNT == 0 {
                size_of::<u64>()
            } else {
                C::COUNT * size_of::<u64>()
            }
        };
        // SAFETY: A size that is not zero and a power of two for the alignment. A set begins on a
        // cache line of its own so that counting shares none with other data.
        let base = unsafe { bindings::alloc_percpu(size, 64) };
        // INVARIANT: `alloc_percpu` returns zeroed memory of the size asked for.
        Ok(Self {
            base: NonNull::new(base).ok_or(ENOMEM)?,
            _names: PhantomData,
        })
    }

    /// The per-CPU pointer of a counter: an offset for each CPU's memory, not an address by itself.
    fn counter(&self, at: usize) -> *mut u64 {
        self.base.as_ptr().wrapping_add(at)
    }

    /// Adds `n` to `counter` on this CPU.
    #[inline]
    pub fn add(&self, counter: C, n: u64) {
        let at = counter.place();
        if at < C::COUNT {
            // SAFETY: By the type invariant the allocation holds `COUNT` counters, and `at` is
            // one of them.
            unsafe { bindings::this_cpu_add(self.counter(at), n) };
        }
    }

    /// The sum of `counter` over all possible CPUs.
    ///
    /// Counts that other CPUs add meanwhile may or may not be in it.
    pub fn sum(&self, counter: C) -> u64 {
        let at = counter.place();
        if at >= C::COUNT {
            return 0;
        }
        possible_cpus()
            .map(|cpu| {
                // SAFETY: As in `add`, and `cpu` is a possible CPU.
                let slot = unsafe { bindings::per_cpu_ptr(self.counter(at), cpu) };
                // SAFETY: The slot is valid and aligned while the allocation is, and every access
                // to it is either this or a `this_cpu_add`, which stores a word as a whole.
                unsafe { Atomic::<u64>::from_ptr(slot) }.load(Relaxed)
            })
            .fold(0, u64::wrapping_add)
    }
}

impl<C> Drop for Counters<C> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this is ours, and `drop` runs once.
        unsafe { bindings::free_percpu(self.base.as_ptr()) };
    }
}

/// The CPUs that may ever be online.
fn possible_cpus() -> impl Iterator<Item = i32> {
    let mut last = -1;
    core::iter::from_fn(move || {
        // SAFETY: The function takes -1 and every CPU number.
        let next = unsafe { bindings::cpumask_next_possible(last) };
        if next >= nr_cpu_ids() {
            return None;
        }
        last = i32::try_from(next).ok()?;
        Some(last)
    })
}
