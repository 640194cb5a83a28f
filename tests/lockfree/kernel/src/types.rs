// SPDX-License-Identifier: GPL-2.0

//! Like `kernel::types`.

use pinned_init::PinInit;
use std::{
    cell::UnsafeCell,
    mem::MaybeUninit, //
};

/// A value that only C accesses.
#[repr(transparent)]
pub struct Opaque<T>(UnsafeCell<MaybeUninit<T>>);

impl<T> Opaque<T> {
    /// Uninitialised memory for a value.
    pub const fn uninit() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// Initialises a value in place by a function.
    pub fn try_ffi_init<E>(init: impl FnOnce(*mut T) -> Result<(), E>) -> impl PinInit<Self, E> {
        // SAFETY: `init` initialises the memory, or fails; uninitialised memory is a valid value.
        unsafe { pinned_init::pin_init_from_closure(|slot: *mut Self| init(slot.cast())) }
    }

    /// A pointer to the value.
    pub const fn get(&self) -> *mut T {
        self.0.get().cast()
    }

    /// A pointer to the value, from a pointer to this type.
    pub const fn cast_into(this: *const Self) -> *mut T {
        this.cast_mut().cast()
    }
}
