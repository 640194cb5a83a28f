// SPDX-License-Identifier: GPL-2.0

//! Bios that wait for a worker.

use super::bios::{
    OwnedBio,
    PerBio, //
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
pub struct BioQueue<P: PerBio> {
    bios: Chain<bio>,
    _bios: PhantomData<OwnedBio<P>>,
}

// SAFETY: The queue owns its bios, which may be sent, and hands each out once.
unsafe impl<P: PerBio> Send for BioQueue<P> {}
// SAFETY: As above; pushing and taking are atomic.
unsafe impl<P: PerBio> Sync for BioQueue<P> {}

impl<P: PerBio> BioQueue<P> {
    /// An empty queue.
    pub fn new() -> Self {
        // INVARIANT: No bios.
        Self {
            bios: Chain::new(),
            _bios: PhantomData,
        }
    }

    /// Adds a bio. Any context.
    pub fn push(&self, owned: OwnedBio<P>) {
        // SAFETY: The queue owns the bio until it is taken out.
        // INVARIANT: It was an `OwnedBio`.
        unsafe { self.bios.push(owned.into_raw()) };
    }

    /// Whether it holds nothing at the moment. Any context.
    pub fn is_empty(&self) -> bool {
        self.bios.is_empty()
    }

    /// Takes all bios, to be had in the order in which they were added. Any context.
    pub fn take_all(&self) -> Taken<P> {
        // INVARIANT: What the queue owned belongs to `Taken`.
        Taken {
            bios: self.bios.take_all(),
            _bios: PhantomData,
        }
    }
}

impl<P: PerBio> Default for BioQueue<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: PerBio> Drop for BioQueue<P> {
    fn drop(&mut self) {
        drop(self.take_all());
    }
}

/// Bios taken from a [`BioQueue`], oldest first. Those not asked for fail when this is dropped.
///
/// # Invariants
///
/// This owns the bios in the list, each of which was an [`OwnedBio`].
pub struct Taken<P: PerBio> {
    bios: Links<bio>,
    _bios: PhantomData<OwnedBio<P>>,
}

impl<P: PerBio> Iterator for Taken<P> {
    type Item = OwnedBio<P>;

    fn next(&mut self) -> Option<OwnedBio<P>> {
        let raw = self.bios.next()?;
        // SAFETY: By the type invariant it comes from `into_raw`, and it left the list.
        Some(unsafe { OwnedBio::from_raw(raw) })
    }
}

impl<P: PerBio> Drop for Taken<P> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
