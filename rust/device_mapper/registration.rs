// SPDX-License-Identifier: GPL-2.0

//! Making a target type known.

use super::{
    vtable::Vtable,
    Target, //
};
use crate::bindings;
use core::pin::Pin;
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// A target type that is known to device mapper while this lives.
///
/// A table that uses the type holds a reference to the module, so the module cannot be unloaded and
/// the registration not be dropped while such a table exists.
///
/// # Invariants
///
/// `inner` is registered by `dm_register_target`, and does not move.
#[pin_data(PinnedDrop)]
#[repr(C)]
pub struct Registration<T: Target> {
    /// First, so that a pointer to it is a pointer to the registration.
    #[pin]
    inner: Opaque<bindings::target_type>,
    shared: T::Shared,
}

// SAFETY: A registration may be dropped by any thread.
unsafe impl<T: Target> Send for Registration<T> {}
// SAFETY: What is shared is `Sync`, and there is nothing else to do with a shared reference.
unsafe impl<T: Target> Sync for Registration<T> {}

impl<T: Target> Registration<T> {
    /// Registers `T` for `module`. Its name must not be taken.
    pub fn new(module: &'static ThisModule, shared: T::Shared) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            shared,
            inner <- Opaque::try_ffi_init(move |slot: *mut bindings::target_type| {
                // SAFETY: `slot` may be written.
                unsafe { slot.write(Vtable::<T>::target_type(module)) };
                // SAFETY: The whole of `slot` was just written, and it stays where it is until it is
                // unregistered by `drop`, since it is pinned.
                // INVARIANT: Registered if this is `Ok`.
                to_result(unsafe { bindings::dm_register_target(slot) })
            }),
        })
    }

    /// What the targets of a registered type share.
    ///
    /// # Safety
    ///
    /// `raw` must be the `target_type` of a live registration of `T`, for as long as the caller uses
    /// the reference.
    pub(super) unsafe fn shared<'a>(raw: *mut bindings::target_type) -> &'a T::Shared {
        // SAFETY: By the safety requirements; the type is `repr(C)` and `inner` its first field.
        unsafe { &(*raw.cast::<Self>()).shared }
    }
}

#[pinned_drop]
impl<T: Target> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Registered by the type invariant.
        unsafe { bindings::dm_unregister_target(self.inner.get()) };
    }
}
