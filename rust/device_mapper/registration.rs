// SPDX-License-Identifier: GPL-2.0

//! Making a target type known.

use super::{
    target::Target,
    target_type::TargetType,
    vtable::Vtable, //
};
use crate::bindings;
use kernel::{
    error::to_result,
    prelude::*,
    sync::Arc, //
};

/// A target type that may be used in new tables while this lives.
///
/// # Invariants
///
/// `of` is registered by `dm_register_target`.
pub struct Registration<T: Target> {
    of: &'static TargetType<T>,
}

impl<T: Target> Registration<T> {
    /// Registers a type for `module`. Its name must not be taken, and it can be registered only
    /// once.
    pub fn new(
        module: &'static ThisModule,
        of: &'static TargetType<T>,
        shared: Arc<T::Shared>,
    ) -> Result<Self> {
        let filled = of.fill(Vtable::<T>::target_type(module))?;
        of.share(shared);
        // SAFETY: The type was just written as a whole, and it is static.
        let registered = to_result(unsafe { bindings::dm_register_target(filled) });
        if registered.is_err() {
            of.unshare();
        }
        // INVARIANT: Registered.
        registered.map(|()| Self { of })
    }
}

impl<T: Target> Drop for Registration<T> {
    fn drop(&mut self) {
        // SAFETY: Registered by the type invariant.
        unsafe { bindings::dm_unregister_target(self.of.as_ptr()) };
        self.of.unshare();
    }
}
