// SPDX-License-Identifier: GPL-2.0

//! Like `kernel::sync::atomic`: memory orders are types, and a failed compare-exchange is relaxed.

use loom::sync::atomic::{
    AtomicPtr,
    Ordering, //
};

/// The memory order of an access.
pub trait Order {
    /// The order in the C11 model.
    const ORDERING: Ordering;
}

/// No ordering.
pub struct Relaxed;
/// Later accesses stay after the access.
pub struct Acquire;
/// Earlier accesses stay before the access.
pub struct Release;

/// `Acquire` and `Release`.
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

/// A possible value of an [`Atomic`].
pub trait Value {
    /// The type in loom.
    type Cell;
}

impl<T> Value for *mut T {
    type Cell = AtomicPtr<T>;
}

/// A value with atomic accesses.
pub struct Atomic<V: Value>(V::Cell);

impl<T> Atomic<*mut T> {
    /// Creates an atomic with `value`.
    pub fn new(value: *mut T) -> Self {
        Self(AtomicPtr::new(value))
    }

    /// The value.
    pub fn load<O: Order>(&self, _: O) -> *mut T {
        self.0.load(O::ORDERING)
    }

    /// Stores `new`, and returns the previous value.
    pub fn xchg<O: Order>(&self, new: *mut T, _: O) -> *mut T {
        self.0.swap(new, O::ORDERING)
    }

    /// Stores `new` if the value is `old`, and returns the previous value.
    pub fn cmpxchg<O: Order>(&self, old: *mut T, new: *mut T, _: O) -> Result<*mut T, *mut T> {
        self.0
            .compare_exchange(old, new, O::ORDERING, Ordering::Relaxed)
    }
}
