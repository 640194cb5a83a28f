// SPDX-License-Identifier: GPL-2.0

//! A list that any context fills without a lock and one taker empties as a whole.
//!
//! Only atomics of the `kernel` crate are used, so that `tests/lockfree` can build this file over a
//! model of them and try every order of events.

use core::ptr::{
    null_mut,
    NonNull, //
};
use kernel::sync::atomic::{
    Acquire,
    Atomic,
    Relaxed,
    Release, //
};

/// What a [`Chain`] links.
///
/// # Safety
///
/// [`Self::replace_next`] stores the link in the object and nowhere else, and returns the one that
/// was stored before: whoever owns the object owns the link.
pub unsafe trait Linked {
    /// Puts `next` in the link of `object`; what was there.
    ///
    /// # Safety
    ///
    /// `object` is valid, and nobody else uses its link meanwhile.
    unsafe fn replace_next(object: NonNull<Self>, next: *mut Self) -> *mut Self;
}

/// A list of objects that are not its own: whoever makes it drops what is in it.
///
/// # Invariants
///
/// `newest` is null or the head of a list of valid objects, which only the chain links to.
pub struct Chain<T: Linked> {
    newest: Atomic<*mut T>,
}

// SAFETY: The chain hands each object, which may be sent, out once.
unsafe impl<T: Linked + Send> Send for Chain<T> {}
// SAFETY: As above; pushing and taking are atomic.
unsafe impl<T: Linked + Send> Sync for Chain<T> {}

impl<T: Linked> Chain<T> {
    /// A chain without objects.
    pub fn new() -> Self {
        // INVARIANT: No objects.
        Self {
            newest: Atomic::new(null_mut()),
        }
    }

    /// Adds an object. Any context.
    ///
    /// # Safety
    ///
    /// The object is valid until it was taken out again, and nobody uses its link until then.
    pub unsafe fn push(&self, object: NonNull<T>) {
        let mut head = self.newest.load(Relaxed);
        loop {
            // SAFETY: The caller leaves the link to the chain, and the object is not yet in the
            // list.
            unsafe { T::replace_next(object, head) };
            // INVARIANT: The new head is valid and links to the rest.
            match self.newest.cmpxchg(head, object.as_ptr(), Release) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Whether it holds nothing at the moment. Any context.
    pub fn is_empty(&self) -> bool {
        self.newest.load(Relaxed).is_null()
    }

    /// Takes all objects, to be had in the order in which they were added. Any context.
    pub fn take_all(&self) -> Links<T> {
        // INVARIANT: The chain is left empty, and the list belongs to `Links`.
        let mut newest = self.newest.xchg(null_mut(), Acquire);
        let mut oldest = null_mut();
        while let Some(object) = NonNull::new(newest) {
            // SAFETY: The list was just taken and is ours alone.
            newest = unsafe { T::replace_next(object, oldest) };
            oldest = object.as_ptr();
        }
        Links { oldest }
    }
}

impl<T: Linked> Default for Chain<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Objects taken from a [`Chain`], oldest first.
///
/// # Invariants
///
/// `oldest` is null or the head of a list of valid objects, which only this links to.
pub struct Links<T: Linked> {
    oldest: *mut T,
}

impl<T: Linked> Iterator for Links<T> {
    type Item = NonNull<T>;

    fn next(&mut self) -> Option<NonNull<T>> {
        let object = NonNull::new(self.oldest)?;
        // INVARIANT: The head leaves the list.
        // SAFETY: The list is ours by the type invariant.
        self.oldest = unsafe { T::replace_next(object, null_mut()) };
        Some(object)
    }
}
