// SPDX-License-Identifier: GPL-2.0

//! Making a target type known.

use super::{
    vtable::Vtable,
    Target, //
};
use crate::bindings;
use core::ptr::{
    null_mut,
    NonNull, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Release, //
        },
        rcu,
        Arc,
        ArcBorrow, //
    },
    types::Opaque, //
};

/// What device mapper knows of a target type, in a static: tables use it until after they are gone,
/// whoever drops the [`Registration`] meanwhile.
///
/// A table that uses the type holds a reference to the module, and the module's statics stay as
/// long.
///
/// # Examples
///
/// ```ignore
/// static TYPE: TargetType<MyTarget> = TargetType::new();
/// ```
///
/// # Invariants
///
/// - `inner` is written once, by whoever set `used`, before device mapper knows of it. From then on only device mapper
///   writes to it.
/// - `shared` is null or was leaked from an [`Arc`]. Who replaces it frees it after an RCU grace
///   period.
#[repr(C)]
pub struct TargetType<T: Target> {
    /// First, so that a pointer to it is a pointer to the whole.
    inner: Opaque<bindings::target_type>,
    used: Atomic<bool>,
    shared: Atomic<*mut T::Shared>,
}

// SAFETY: Device mapper has a lock for what it writes, only who sets `used` writes before that, and
// what is shared is `Send` and `Sync`.
unsafe impl<T: Target> Sync for TargetType<T> {}

impl<T: Target> TargetType<T> {
    /// A type that is not yet known to device mapper.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        // INVARIANT: Not used, and nothing is shared.
        Self {
            inner: Opaque::uninit(),
            used: Atomic::new(false),
            shared: Atomic::new(null_mut()),
        }
    }

    /// What the targets of a type share, as [`Self::shared_of_type`].
    ///
    /// # Safety
    ///
    /// `raw` must be in a static `TargetType<T>`.
    pub(super) unsafe fn shared(raw: *mut bindings::target_type) -> Option<Arc<T::Shared>> {
        // SAFETY: By the safety requirements; the type is `repr(C)`, `inner` its first field, and
        // only a static is ever made known to device mapper.
        unsafe { &*raw.cast::<Self>() }.shared_of_type()
    }

    /// What the targets of the type share, while it is registered.
    pub(crate) fn shared_of_type(&self) -> Option<Arc<T::Shared>> {
        let _guard = rcu::read_lock();
        let shared = NonNull::new(self.shared.load(Acquire))?;
        // SAFETY: By the type invariant it comes from an `Arc`, and who takes it away waits for
        // this section.
        Some(unsafe { ArcBorrow::from_raw(shared.as_ptr()) }.into())
    }

    /// Takes away what is shared. Sleeps.
    fn unshare(&self) {
        let shared = self.shared.xchg(null_mut(), Full);
        // SAFETY: There is nothing to be held here.
        unsafe { kernel::bindings::synchronize_rcu() };
        if let Some(shared) = NonNull::new(shared) {
            // SAFETY: By the type invariant it comes from an `Arc`. We have replaced it, so that
            // nobody else frees it, and whoever found it before has a reference of its own by now.
            drop(unsafe { Arc::from_raw(shared.as_ptr()) });
        }
    }
}

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
        if of.used.xchg(true, Full) {
            return Err(EBUSY);
        }
        // INVARIANT: We have set `used`.
        // SAFETY: Nobody but us uses `inner` as yet.
        unsafe { of.inner.get().write(Vtable::<T>::target_type(module)) };
        // INVARIANT: Leaked here; freed by `unshare`.
        of.shared.store(Arc::into_raw(shared).cast_mut(), Release);
        // SAFETY: The whole of `inner` was just written, and it is static.
        let registered = to_result(unsafe { bindings::dm_register_target(of.inner.get()) });
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
        unsafe { bindings::dm_unregister_target(self.of.inner.get()) };
        self.of.unshare();
    }
}
