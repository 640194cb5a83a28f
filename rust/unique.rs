// SPDX-License-Identifier: GPL-2.0

//! Objects of a cache that have one owner each, and queues of them, which need no memory.
//!
//! What goes from hand to hand while it is worked on, in interrupts too, is such an object: whoever
//! has the [`Unique`] has the object, and nobody else can reach it.

use crate::{
    bio::BioSet,
    block_device::BlockDevice,
    chain::{
        Chain,
        Linked,
        Links, //
    },
    slab::{
        Blank,
        Object,
        Shared, //
    }, //
};
use core::{
    mem::ManuallyDrop,
    ops::{
        Deref,
        DerefMut, //
    },
    ptr::{
        null_mut,
        NonNull, //
    }, //
};

/// What the memory of a [`Unique`] holds: `T`, and what queues and I/O need of it.
///
/// # Invariants
///
/// `next` belongs to whoever owns the object. `lent` is there while I/O has the object.
pub struct Slot<T> {
    next: *mut Object<Self>,
    /// What I/O needs that has the object in its hands (see [`crate::submit`]).
    pub(crate) lent: Option<(NonNull<BioSet>, BlockDevice)>,
    value: T,
}

/// An object of a cache, of type `Slab<Slot<T>>`, with one owner.
///
/// # Examples
///
/// ```ignore
/// let slab = Slab::<Slot<u64>>::new(c"numbers")?;
/// let mut number = Unique::new(slab.blank(Node::here(), Effort::All)?, 1);
/// *number += 1;
/// let queue = UniqueQueue::new();
/// queue.push(number);
/// let number = queue.take_all().next();
/// assert_eq!(number.map(|number| *number), Some(2));
/// ```
///
/// # Invariants
///
/// `shared` is the only user of its object. What is in a queue or a list, or in the hands of I/O, has
/// no `Unique`.
///
/// Dropping the last object of a cache that nobody else refers to sleeps (see
/// [`Slab`](crate::slab::Slab)).
pub struct Unique<T> {
    shared: Shared<Slot<T>>,
}

// SAFETY: The value goes with its owner, and belongs to no thread.
unsafe impl<T: Send> Send for Unique<T> {}
// SAFETY: A shared reference to it gives shared references to the value only.
unsafe impl<T: Sync> Sync for Unique<T> {}

impl<T> Unique<T> {
    /// Makes an object. Any context.
    pub fn new(blank: Blank<Slot<T>>, value: T) -> Self {
        // INVARIANT: Nobody else has it.
        Self {
            shared: blank.write(Slot {
                next: null_mut(),
                lent: None,
                value,
            }),
        }
    }

    /// Drops the value and keeps the memory. Any context in which the value may be dropped.
    pub fn into_blank(self) -> Blank<Slot<T>> {
        // SAFETY: By the type invariant nobody else uses the object.
        unsafe { self.shared.into_blank() }
    }

    pub(crate) fn slot_mut(&mut self) -> &mut Slot<T> {
        // SAFETY: By the type invariant nobody else uses the object, which is there as long as
        // `self`.
        unsafe { &mut *Object::value_of(self.shared.as_ptr()) }
    }

    pub(crate) fn into_raw(self) -> NonNull<Object<Slot<T>>> {
        ManuallyDrop::new(self).shared.as_ptr()
    }

    /// # Safety
    ///
    /// `object` comes from [`Self::into_raw`], and is given back only once.
    pub(crate) unsafe fn from_raw(object: NonNull<Object<Slot<T>>>) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            // SAFETY: As above.
            shared: unsafe { Shared::from_ptr(object) },
        }
    }
}

impl<T> Deref for Unique<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let slot: &Slot<T> = &self.shared;
        &slot.value
    }
}

impl<T> DerefMut for Unique<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.slot_mut().value
    }
}

// SAFETY: The link is stored in the object, and nowhere else.
unsafe impl<T> Linked for Object<Slot<T>> {
    unsafe fn replace_next(object: NonNull<Self>, next: *mut Self) -> *mut Self {
        // SAFETY: The caller says that the object is valid and its link not in use.
        unsafe { core::mem::replace(&mut (*Object::value_of(object)).next, next) }
    }
}

/// A queue that any context fills without a lock, and one taker empties as a whole.
///
/// # Invariants
///
/// The queue owns the objects in the chain, each of which was a [`Unique`].
pub struct UniqueQueue<T: Send>(Chain<Object<Slot<T>>>);

// SAFETY: The queue owns its objects, which may be sent, and hands each out once.
unsafe impl<T: Send> Send for UniqueQueue<T> {}
// SAFETY: As above; pushing and taking are atomic.
unsafe impl<T: Send> Sync for UniqueQueue<T> {}

impl<T: Send> UniqueQueue<T> {
    /// An empty queue.
    pub fn new() -> Self {
        // INVARIANT: No objects.
        Self(Chain::new())
    }

    /// Adds an object. Any context.
    pub fn push(&self, object: Unique<T>) {
        // SAFETY: The queue owns the object until it is taken out.
        // INVARIANT: It was a `Unique`.
        unsafe { self.0.push(object.into_raw()) };
    }

    /// Whether it holds nothing at the moment. Any context.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all objects, in the order in which they were added. Any context.
    pub fn take_all(&self) -> UniqueList<T> {
        let mut list = UniqueList::new();
        let links: Links<_> = self.0.take_all();
        for object in links {
            // SAFETY: By the type invariant it comes from `into_raw`, and it left the chain.
            list.push(unsafe { Unique::from_raw(object) });
        }
        list
    }
}

impl<T: Send> Default for UniqueQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Send> Drop for UniqueQueue<T> {
    fn drop(&mut self) {
        drop(self.take_all());
    }
}

/// A list with one user, first in, first out.
///
/// # Invariants
///
/// `first` and `last` are the ends of a list of valid objects, each of which was a [`Unique`] and
/// belongs to the list; both are null if there is none.
pub struct UniqueList<T> {
    first: *mut Object<Slot<T>>,
    last: *mut Object<Slot<T>>,
}

// SAFETY: The list owns its objects, which may be sent.
unsafe impl<T: Send> Send for UniqueList<T> {}

impl<T> UniqueList<T> {
    /// An empty list.
    pub const fn new() -> Self {
        // INVARIANT: No objects.
        Self {
            first: null_mut(),
            last: null_mut(),
        }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Adds an object behind the others. Any context.
    pub fn push(&mut self, object: Unique<T>) {
        let object = object.into_raw();
        // SAFETY: The object is ours, and its link is not in use.
        unsafe { Linked::replace_next(object, null_mut()) };
        match NonNull::new(self.last) {
            // SAFETY: By the type invariant the last object is valid and ours.
            Some(last) => drop(unsafe { Linked::replace_next(last, object.as_ptr()) }),
            None => self.first = object.as_ptr(),
        }
        // INVARIANT: It is linked to by the one before, or is the first.
        self.last = object.as_ptr();
    }

    /// Takes the first object. Any context.
    pub fn pop(&mut self) -> Option<Unique<T>> {
        let object = NonNull::new(self.first)?;
        // SAFETY: By the type invariant the first object is valid and ours.
        // INVARIANT: It leaves the list.
        self.first = unsafe { Linked::replace_next(object, null_mut()) };
        if self.first.is_null() {
            self.last = null_mut();
        }
        // SAFETY: By the type invariant it was a `Unique`, and it left the list.
        Some(unsafe { Unique::from_raw(object) })
    }

    /// Moves those of the objects that `is_wanted` picks behind those of `to`, in their order. Any
    /// context.
    ///
    /// # Examples
    ///
    /// ```ignore
    /// let (mut numbers, mut even) = (queue.take_all(), UniqueList::new());
    /// numbers.move_to(&mut even, |number| number % 2 == 0);
    /// ```
    pub fn move_to(&mut self, to: &mut Self, mut is_wanted: impl FnMut(&T) -> bool) {
        for object in core::mem::take(self) {
            match is_wanted(&object) {
                true => to.push(object),
                false => self.push(object),
            }
        }
    }
}

impl<T> Default for UniqueList<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Iterator for UniqueList<T> {
    type Item = Unique<T>;

    fn next(&mut self) -> Option<Unique<T>> {
        self.pop()
    }
}

impl<T> Drop for UniqueList<T> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
