// SPDX-License-Identifier: GPL-2.0

//! Bios that wait for a worker.

use super::{
    OwnedBio,
    Target, //
};
use crate::chain::{
    Chain,
    Linked,
    Links, //
};
use core::marker::PhantomData;
use core::ptr::NonNull;
use kernel::bindings::bio;

// SAFETY: `bi_next` belongs to whoever owns the bio.
unsafe impl Linked for bio {
    unsafe fn replace_next(object: NonNull<Self>, next: *mut Self) -> *mut Self {
        // SAFETY: The caller says that the bio is valid and its link not in use.
        unsafe { core::mem::replace(&mut (*object.as_ptr()).bi_next, next) }
    }
}

/// A queue that any context fills without a lock, and a worker empties as a whole.
///
/// # Invariants
///
/// The queue owns the bios in the chain, each of which was an [`OwnedBio`].
pub struct BioQueue<T: Target> {
    bios: Chain<bio>,
    _target: PhantomData<OwnedBio<T>>,
}

// SAFETY: The queue owns its bios, which may be sent, and hands each out once.
unsafe impl<T: Target> Send for BioQueue<T> {}
// SAFETY: As above; pushing and taking are atomic.
unsafe impl<T: Target> Sync for BioQueue<T> {}

impl<T: Target> BioQueue<T> {
    /// An empty queue.
    pub fn new() -> Self {
        // INVARIANT: No bios.
        Self {
            bios: Chain::new(),
            _target: PhantomData,
        }
    }

    /// Adds a bio. Any context.
    pub fn push(&self, owned: OwnedBio<T>) {
        // SAFETY: The queue owns the bio until it is taken out.
        // INVARIANT: It was an `OwnedBio`.
        unsafe { self.bios.push(owned.into_raw()) };
    }

    /// Whether it holds nothing at the moment. Any context.
    pub fn is_empty(&self) -> bool {
        self.bios.is_empty()
    }

    /// Takes all bios, to be had in the order in which they were added. Any context.
    pub fn take_all(&self) -> Taken<T> {
        // INVARIANT: What the queue owned belongs to `Taken`.
        Taken {
            bios: self.bios.take_all(),
            _target: PhantomData,
        }
    }
}

impl<T: Target> Default for BioQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Target> Drop for BioQueue<T> {
    fn drop(&mut self) {
        drop(self.take_all());
    }
}

/// Bios taken from a [`BioQueue`], oldest first. Those not asked for fail when this is dropped.
///
/// # Invariants
///
/// This owns the bios in the list, each of which was an [`OwnedBio`].
pub struct Taken<T: Target> {
    bios: Links<bio>,
    _target: PhantomData<OwnedBio<T>>,
}

impl<T: Target> Iterator for Taken<T> {
    type Item = OwnedBio<T>;

    fn next(&mut self) -> Option<OwnedBio<T>> {
        let raw = self.bios.next()?;
        // SAFETY: By the type invariant it comes from `into_raw`, and it left the list.
        Some(unsafe { OwnedBio::from_raw(raw) })
    }
}

impl<T: Target> Drop for Taken<T> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
