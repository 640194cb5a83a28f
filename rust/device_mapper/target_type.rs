// SPDX-License-Identifier: GPL-2.0

//! What device mapper knows of a target type.

use super::target::Target;
use crate::bindings;
use core::ptr::{
    null_mut,
    NonNull, //
};
use kernel::{
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
/// whoever drops the [`Registration`](super::Registration) meanwhile.
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
/// - `inner` is written once, by whoever set `used`, before device mapper knows of it. From then on
///   only device mapper writes to it.
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

    /// Writes what device mapper is to be told, once; where it is then.
    pub(super) fn fill(&self, with: bindings::target_type) -> Result<*mut bindings::target_type> {
        if self.used.xchg(true, Full) {
            return Err(EBUSY);
        }
        // INVARIANT: We have set `used`.
        // SAFETY: Nobody but us uses `inner` as yet.
        unsafe { self.inner.get().write(with) };
        Ok(self.inner.get())
    }

    /// What device mapper is told, which is initialised once [`Self::fill`] succeeded.
    pub(super) fn as_ptr(&self) -> *mut bindings::target_type {
        self.inner.get()
    }

    /// Has targets share `shared`. Only once, by whoever filled the type.
    pub(super) fn share(&self, shared: Arc<T::Shared>) {
        // INVARIANT: Leaked here; freed by `unshare`.
        self.shared.store(Arc::into_raw(shared).cast_mut(), Release);
    }

    /// Takes away what is shared. Sleeps.
    pub(super) fn unshare(&self) {
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
