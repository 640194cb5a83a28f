// SPDX-License-Identifier: GPL-2.0

//! Bios that wait for a worker.

use super::{
    OwnedBio,
    Target, //
};
use core::marker::PhantomData;
use core::ptr::{
    null_mut,
    NonNull, //
};
use kernel::{
    bindings::bio,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    }, //
};

/// A queue that any context fills without a lock, and a worker empties as a whole.
///
/// # Invariants
///
/// `newest` is null or the head of a list, linked by `bi_next`, of bios that the queue owns.
pub struct BioQueue<T: Target> {
    newest: Atomic<*mut bio>,
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
            newest: Atomic::new(null_mut()),
            _target: PhantomData,
        }
    }

    /// Adds a bio. Any context.
    pub fn push(&self, owned: OwnedBio<T>) {
        let raw = owned.into_raw().as_ptr();
        let mut head = self.newest.load(Relaxed);
        loop {
            // SAFETY: The bio was owned and is not yet in the list: nobody else uses its link.
            unsafe { (*raw).bi_next = head };
            // INVARIANT: The new head is owned by the queue and links to the rest.
            match self.newest.cmpxchg(head, raw, Release) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Whether it holds nothing at the moment. Any context.
    pub fn is_empty(&self) -> bool {
        self.newest.load(Relaxed).is_null()
    }

    /// Takes all bios, to be had in the order in which they were added. Any context.
    pub fn take_all(&self) -> Taken<T> {
        // INVARIANT: The queue is left empty, and the list belongs to `Taken`.
        let mut newest = self.newest.xchg(null_mut(), Acquire);
        let mut oldest = null_mut();
        while !newest.is_null() {
            // SAFETY: The list was just taken and is ours alone.
            let next = unsafe { core::mem::replace(&mut (*newest).bi_next, oldest) };
            oldest = newest;
            newest = next;
        }
        Taken {
            oldest,
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
/// `oldest` is null or the head of a list, linked by `bi_next`, of bios owned by this value.
pub struct Taken<T: Target> {
    oldest: *mut bio,
    _target: PhantomData<OwnedBio<T>>,
}

impl<T: Target> Iterator for Taken<T> {
    type Item = OwnedBio<T>;

    fn next(&mut self) -> Option<OwnedBio<T>> {
        let raw = NonNull::new(self.oldest)?;
        // INVARIANT: The head leaves the list.
        // SAFETY: The list is ours by the type invariant.
        self.oldest = unsafe { core::mem::replace(&mut (*raw.as_ptr()).bi_next, null_mut()) };
        // SAFETY: The bio comes from `into_raw` in `push`, and left the list.
        Some(unsafe { OwnedBio::from_raw(raw) })
    }
}

impl<T: Target> Drop for Taken<T> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
