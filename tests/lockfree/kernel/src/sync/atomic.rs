// SPDX-License-Identifier: GPL-2.0

//! As `kernel::sync::atomic`: orders are types, and a compare-exchange that fails orders nothing.

use loom::sync::atomic::{
    AtomicPtr,
    Ordering, //
};

/// How an access is ordered.
pub trait Order {
    /// The same in terms of the C11 model.
    const ORDERING: Ordering;
}

/// Orders nothing.
pub struct Relaxed;
/// Later accesses stay behind.
pub struct Acquire;
/// Earlier accesses stay before.
pub struct Release;

/// Both.
pub struct Full;

impl Order for Full {
    const ORDERING: Ordering = Ordering::SeqCst;
}
impl Order for Relaxed {
    const ORDERING: Ordering = Ordering::Relaxed;
}
impl Order for Acquire {
    const ORDERING: Ordering = Ordering::Acquire;
}
impl Order for Release {
    const ORDERING: Ordering = Ordering::Release;
}

/// What an [`Atomic`] can hold.
pub trait Value {
    /// What loom keeps it in.
    type Cell;
}

impl<T> Value for *mut T {
    type Cell = AtomicPtr<T>;
}

/// A value that is read and changed as a whole.
pub struct Atomic<V: Value>(V::Cell);

impl<T> Atomic<*mut T> {
    /// Holds `value`.
    pub fn new(value: *mut T) -> Self {
        Self(AtomicPtr::new(value))
    }

    /// The value.
    pub fn load<O: Order>(&self, _: O) -> *mut T {
        self.0.load(O::ORDERING)
    }

    /// Puts `new` there; what was there before.
    pub fn xchg<O: Order>(&self, new: *mut T, _: O) -> *mut T {
        self.0.swap(new, O::ORDERING)
    }

    /// Puts `new` there if `old` is; what was there before.
    pub fn cmpxchg<O: Order>(&self, old: *mut T, new: *mut T, _: O) -> Result<*mut T, *mut T> {
        self.0
            .compare_exchange(old, new, O::ORDERING, Ordering::Relaxed)
    }
}
