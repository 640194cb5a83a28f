// SPDX-License-Identifier: GPL-2.0

//! Reserves of memory for objects of a cache, which need no memory besides.

use crate::slab::{
    Blank,
    Object, //
};
use core::ptr::{
    null_mut,
    NonNull, //
};

/// A stack of blanks, which are linked through the memory that they are.
///
/// Dropping it frees the blanks; see [`Slab`](crate::slab::Slab) for the last of a cache.
///
/// # Examples
///
/// ```ignore
/// let slab = Slab::<u64>::new(c"numbers")?;
/// let mut reserve = Blanks::new();
/// reserve.push(slab.blank(Node::here(), Effort::All)?);
/// let number = reserve.pop().map(|blank| blank.write(7));
/// assert!(reserve.is_empty());
/// ```
///
/// # Invariants
///
/// `top` is null or the first of a list of `len` blanks, which belong to the stack. Each holds the
/// pointer to the next in the place of its value.
pub struct Blanks<T> {
    top: *mut Object<T>,
    len: usize,
}

// SAFETY: The memory holds no value, and belongs to no thread.
unsafe impl<T> Send for Blanks<T> {}

impl<T> Blanks<T> {
    /// An empty stack.
    pub const fn new() -> Self {
        const {
            assert!(
                size_of::<T>() >= size_of::<*mut Object<T>>(),
                "no room for a link"
            )
        };
        // INVARIANT: Nothing is in it.
        Self {
            top: null_mut(),
            len: 0,
        }
    }

    /// Adds a blank. Any context.
    pub fn push(&mut self, blank: Blank<T>) {
        let object = blank.into_raw();
        // SAFETY: The memory of the blank is ours and holds no value; there is room for a link.
        unsafe { Self::link_of(object).write_unaligned(self.top) };
        // INVARIANT: The blank links to those that were there.
        self.top = object.as_ptr();
        self.len += 1;
    }

    /// Takes the blank that was added last. Any context.
    pub fn pop(&mut self) -> Option<Blank<T>> {
        let object = NonNull::new(self.top)?;
        // INVARIANT: The first leaves the list.
        // SAFETY: By the type invariant the blank is ours and holds a link.
        self.top = unsafe { Self::link_of(object).read_unaligned() };
        self.len -= 1;
        // SAFETY: It comes from `into_raw`, and left the list.
        Some(unsafe { Blank::from_raw(object) })
    }

    /// Where the link of a blank is.
    ///
    /// # Safety
    ///
    /// `object` is a blank.
    unsafe fn link_of(object: NonNull<Object<T>>) -> *mut *mut Object<T> {
        // SAFETY: By the safety requirements.
        unsafe { Object::value_of(object) }.cast()
    }

    /// How many blanks there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Frees all but `most` blanks.
    pub fn truncate(&mut self, most: usize) {
        while self.len > most {
            drop(self.pop());
        }
    }
}

impl<T> Default for Blanks<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for Blanks<T> {
    fn drop(&mut self) {
        self.truncate(0);
    }
}
