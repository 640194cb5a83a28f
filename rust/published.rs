// SPDX-License-Identifier: GPL-2.0

//! A value that readers use while writers replace it.
//!
//! C header: [`include/linux/srcu.h`](srctree/include/linux/srcu.h).

use crate::bindings;
use core::mem::{
    ManuallyDrop,
    MaybeUninit, //
};
use core::ops::Deref;
use core::pin::Pin;
use core::ptr::NonNull;
use kernel::{
    alloc::AllocError,
    error::to_result,
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Full, //
    },
    types::Opaque, //
};

/// A published value together with what is needed to free it later.
#[repr(C)]
struct Edition<T> {
    /// First, so that a pointer to it is a pointer to the edition.
    head: Opaque<kernel::bindings::callback_head>,
    value: T,
}

/// Memory for the next edition, so that publishing cannot fail.
pub struct Blank<T>(KBox<MaybeUninit<Edition<T>>>);

// SAFETY: The memory holds nothing yet, and belongs to no thread.
unsafe impl<T> Send for Blank<T> {}

impl<T> Blank<T> {
    /// Allocates it.
    pub fn new(flags: kernel::alloc::Flags) -> Result<Self, AllocError> {
        Ok(Self(KBox::new_uninit(flags)?))
    }
}

/// A value that is read without a lock and replaced as a whole.
///
/// Readers are *sections*: from [`Self::read`] until the guard is dropped, or, when the guard was
/// turned into a [`Held`], until [`Held::release`]. A section costs one instruction on per-CPU memory
/// at each end (SRCU-fast up/down); it may begin in one context and end in another, interrupts
/// included, but not in an NMI. [`Self::synchronize`] waits for all sections that began before it.
///
/// An old value is dropped in a work queue with bottom halves disabled, after all sections that may
/// see it: its `Drop` must not sleep, nor drop the last reference to the [`Published`], which waits
/// for such drops.
///
/// # Examples
///
/// ```ignore
/// let limit = KBox::pin_init(Published::new(10u64)?, GFP_KERNEL)?;
/// let reading = limit.read();
/// let old: &u64 = &reading;
/// limit.replace(Blank::new(GFP_KERNEL)?, 20);
/// // The old value is there until the section ends.
/// assert_eq!((*old, *reading), (10, 20));
/// ```
///
/// # Invariants
///
/// - `srcu` is initialised.
/// - `current` points to a leaked box that is freed only after it was replaced and a grace period of
///   `srcu` went by, or when `self` is dropped.
#[pin_data(PinnedDrop)]
pub struct Published<T: Send + Sync + 'static> {
    #[pin]
    srcu: Opaque<kernel::bindings::srcu_struct>,
    current: Atomic<*mut Edition<T>>,
}

// SAFETY: Values are handed out by shared reference and dropped by other threads, which `T: Send +
// Sync` allows; SRCU belongs to no thread.
unsafe impl<T: Send + Sync> Send for Published<T> {}
// SAFETY: As above; all methods may run concurrently.
unsafe impl<T: Send + Sync> Sync for Published<T> {}

/// A section that was kept open.
///
/// Call [`Self::release`]. If it is lost, [`Published::synchronize`] and the drop of the [`Published`]
/// wait forever.
///
/// # Invariants
///
/// `counter` is what `srcu_down_read_fast` returned for `srcu`, the `srcu_struct` of a [`Published`],
/// and the section is still open. The drop of a [`Published`] waits for its open sections, so `srcu` is
/// there.
#[must_use = "a section that is never released is waited for forever"]
pub struct Held {
    counter: NonNull<kernel::bindings::srcu_ctr>,
    srcu: NonNull<kernel::bindings::srcu_struct>,
}

// SAFETY: SRCU sections of the up/down kind belong to no thread.
unsafe impl Send for Held {}

impl Held {
    /// Ends the section. Any context but NMI.
    #[inline]
    pub fn release(self) {
        // SAFETY: By the type invariant the section is open and of this `srcu_struct`, which is there
        // until it is ended.
        unsafe { bindings::srcu_up_read_fast(self.srcu.as_ptr(), self.counter.as_ptr()) };
    }
}

/// A section in which the value may be read.
///
/// # Invariants
///
/// `counter` is that of an open section of `of`.
pub struct Reading<'a, T: Send + Sync + 'static> {
    of: &'a Published<T>,
    counter: NonNull<kernel::bindings::srcu_ctr>,
}

impl<T: Send + Sync + 'static> Published<T> {
    /// Publishes the first value. May sleep.
    pub fn new(first: T) -> Result<impl PinInit<Self, Error>> {
        let first = KBox::new(
            Edition {
                head: Opaque::uninit(),
                value: first,
            },
            GFP_KERNEL,
        )?;
        Ok(try_pin_init!(Self {
            srcu <- Opaque::try_ffi_init(|slot| {
                // SAFETY: `slot` is memory for an `srcu_struct` that stays where it is, since it
                // is pinned. On error nothing is left to clean up.
                to_result(unsafe { bindings::init_srcu_struct_fast_updown(slot) })
            }),
            // INVARIANT: Leaked here; freed by `replace` or `drop`.
            current: Atomic::new(KBox::into_raw(first)),
        }))
    }

    /// Begins a section. Any context but NMI.
    #[inline]
    pub fn read(&self) -> Reading<'_, T> {
        // SAFETY: `srcu` is initialised by the type invariant.
        let counter = unsafe { bindings::srcu_down_read_fast(self.srcu.get()) };
        // INVARIANT: The section was just begun.
        Reading {
            of: self,
            // SAFETY: Tree SRCU returns the address of one of its counters.
            counter: unsafe { NonNull::new_unchecked(counter) },
        }
    }

    /// Replaces the value. Any context but NMI; readers of the old value are not waited for.
    pub fn replace(&self, blank: Blank<T>, value: T) {
        let new = KBox::write(
            blank.0,
            Edition {
                head: Opaque::uninit(),
                value,
            },
        );
        // INVARIANT: Leaked here; freed when it is replaced or by `drop`.
        let old = self.current.xchg(KBox::into_raw(new), Full);
        // SAFETY: By the type invariant `old` is a live box; the exchange made it ours alone to
        // retire, and new sections no longer find it. `head` is its first field and is used once.
        unsafe {
            kernel::bindings::call_srcu(
                self.srcu.get(),
                Opaque::cast_into(&raw const (*old).head),
                Some(free_edition::<T>),
            )
        };
    }

    /// Waits for all sections that began before the call. Sleeps; must not be called in a section.
    ///
    /// Expedited: I/O waits for the caller meanwhile, and a normal grace period consists of two of
    /// RCU. It interrupts other CPUs, so it should be asked for seldom, and for many values at
    /// once.
    pub fn synchronize(&self) {
        // SAFETY: `srcu` is initialised by the type invariant.
        unsafe { kernel::bindings::synchronize_srcu_expedited(self.srcu.get()) };
    }
}

/// Frees an edition.
///
/// # Safety
///
/// `head` must be the first field of a leaked `KBox<Edition<T>>` that nobody else uses or frees.
unsafe extern "C" fn free_edition<T>(head: *mut kernel::bindings::callback_head) {
    // SAFETY: By the safety requirements; `Edition` is `repr(C)` and `head` its first field.
    drop(unsafe { KBox::from_raw(head.cast::<Edition<T>>()) });
}

#[pinned_drop]
impl<T: Send + Sync + 'static> PinnedDrop for Published<T> {
    fn drop(self: Pin<&mut Self>) {
        // Sections that were kept open and old values that are still to be freed.
        self.synchronize();
        // SAFETY: `srcu` is initialised by the type invariant.
        unsafe { kernel::bindings::srcu_barrier(self.srcu.get()) };
        // SAFETY: As above; no section is open, no callback is pending, and since `self` is being
        // dropped none can begin.
        unsafe { kernel::bindings::cleanup_srcu_struct(self.srcu.get()) };
        // SAFETY: By the type invariant this is a leaked box, and nobody can read it any more.
        drop(unsafe { KBox::from_raw(self.current.load(Acquire)) });
    }
}

impl<T: Send + Sync + 'static> Reading<'_, T> {
    #[inline]
    fn held(&self) -> Held {
        // INVARIANT: By that of `Reading`, which the caller does not use again.
        Held {
            counter: self.counter,
            // SAFETY: The address of a field is not null.
            srcu: unsafe { NonNull::new_unchecked(self.of.srcu.get()) },
        }
    }

    /// Keeps the section open beyond this guard.
    #[inline]
    pub fn hold(self) -> Held {
        ManuallyDrop::new(self).held()
    }
}

/// Gives the value that is current at that moment; it stays there until the section ends.
impl<T: Send + Sync + 'static> Deref for Reading<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: By the type invariant of `Published` this is a live box, which is not freed before a
        // grace period that begins later than the section that `self` keeps open.
        unsafe { &(*self.of.current.load(Acquire)).value }
    }
}

impl<T: Send + Sync + 'static> Drop for Reading<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.held().release();
    }
}
