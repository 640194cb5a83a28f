// SPDX-License-Identifier: GPL-2.0

//! Named caches of objects of one type (`slabinfo` shows them), and objects of theirs.
//!
//! C header: [`include/linux/slab.h`](srctree/include/linux/slab.h).

use crate::{
    bindings,
    numa::Node, //
};
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    alloc::AllocError,
    prelude::*,
    sync::{
        Arc,
        Refcount, //
    }, //
};

/// A cache of objects that hold a `T` each.
///
/// It lives as long as any of its objects. Dropping the last reference to it sleeps: whoever makes
/// one keeps a reference where it may be dropped, until all objects are gone.
///
/// # Invariants
///
/// `cache` is a live cache, owned by this value, of objects of the size and alignment of
/// `Object<T>`.
pub struct Slab<T> {
    cache: NonNull<kernel::bindings::kmem_cache>,
    _objects: PhantomData<fn(T) -> T>,
}

// SAFETY: A cache belongs to no thread. It holds no `T` that anybody uses.
unsafe impl<T> Send for Slab<T> {}
// SAFETY: The functions that allocate and free may run concurrently.
unsafe impl<T> Sync for Slab<T> {}

/// How much is done to find memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// What is free is taken; nothing is waited for (`GFP_NOWAIT`).
    Now,
    /// Memory is reclaimed a little, which may start I/O where that is allowed, and may fail to be
    /// found (`GFP_KERNEL | __GFP_NORETRY`).
    Some,
    /// Memory is waited for, as long as there is hope (`GFP_KERNEL`).
    All,
}

impl Effort {
    fn flags(self) -> kernel::bindings::gfp_t {
        match self {
            Self::Now => bindings::GFP_NOWAIT_FLAGS,
            Self::Some => bindings::GFP_NORETRY_FLAGS,
            Self::All => bindings::GFP_KERNEL_FLAGS,
        }
    }
}

/// What the memory of an object holds.
pub(crate) struct Object<T> {
    slab: Arc<Slab<T>>,
    users: Refcount,
    value: T,
}

impl<T> Object<T> {
    /// The value of an object.
    ///
    /// # Safety
    ///
    /// `object` is one of a cache.
    pub(crate) unsafe fn value_of(object: NonNull<Self>) -> *mut T {
        // SAFETY: By the safety requirements the memory is there.
        unsafe { &raw mut (*object.as_ptr()).value }
    }
}

impl<T> Slab<T> {
    /// Makes a cache that `slabinfo` shows under `name`. Sleeps.
    pub fn new(name: &'static CStr) -> Result<Arc<Self>> {
        let layout = core::alloc::Layout::new::<Object<T>>();
        let size = u32::try_from(layout.size()).map_err(|_| EINVAL)?;
        let align = u32::try_from(layout.align()).map_err(|_| EINVAL)?;
        // SAFETY: `name` is NUL-terminated and is there as long as the module.
        let cache = unsafe { bindings::kmem_cache_create(name.as_char_ptr(), size, align) };
        // INVARIANT: Just made, of that size and alignment, and given to nobody else.
        let this = Self {
            cache: NonNull::new(cache).ok_or(ENOMEM)?,
            _objects: PhantomData,
        };
        Ok(Arc::new(this, GFP_KERNEL)?)
    }

    /// Allocates memory for an object, on `node` where that has some. Sleeps unless `effort` is
    /// [`Effort::Now`], and does not warn where it fails.
    pub fn blank(self: &Arc<Self>, node: Node, effort: Effort) -> Result<Blank<T>, AllocError> {
        // SAFETY: By the type invariant the cache is live; a `Node` is that of memory there was.
        let object = unsafe {
            bindings::kmem_cache_alloc_on(self.cache.as_ptr(), effort.flags(), node.id())
        };
        let object = NonNull::new(object.cast::<Object<T>>()).ok_or(AllocError)?;
        // SAFETY: By the type invariant the object has the size and alignment of `Object<T>`, and
        // nobody else has it.
        unsafe { (&raw mut (*object.as_ptr()).slab).write(self.clone()) };
        // INVARIANT: As above.
        Ok(Blank { object })
    }

    /// Gives memory back, and the reference to the cache in it.
    ///
    /// # Safety
    ///
    /// `object` is one of a cache, its `slab` is initialised, and nobody uses it any more. Its
    /// value is not dropped.
    unsafe fn free(object: NonNull<Object<T>>) {
        // SAFETY: By the safety requirements it is initialised and not used again.
        let slab = unsafe { (&raw const (*object.as_ptr()).slab).read() };
        // SAFETY: By the safety requirements the object is of that cache, which `slab` keeps alive,
        // and unused.
        unsafe { kernel::bindings::kmem_cache_free(slab.cache.as_ptr(), object.as_ptr().cast()) };
    }
}

impl<T> Drop for Slab<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the cache is ours. Each object holds a reference to `self`,
        // so there is none.
        unsafe { kernel::bindings::kmem_cache_destroy(self.cache.as_ptr()) };
    }
}

/// Memory for an object, so that making one cannot fail.
///
/// # Invariants
///
/// `object` is one of a cache, of which `slab` is initialised; it is owned by this value.
pub struct Blank<T> {
    object: NonNull<Object<T>>,
}

// SAFETY: The memory holds no value yet, and belongs to no thread.
unsafe impl<T> Send for Blank<T> {}

impl<T> Blank<T> {
    /// Makes it an object.
    pub fn write(self, value: T) -> Shared<T> {
        let object = self.into_raw();
        // SAFETY: By the type invariant the memory is there and ours alone.
        unsafe {
            (&raw mut (*object.as_ptr()).users).write(Refcount::new(1));
            (&raw mut (*object.as_ptr()).value).write(value);
        }
        // INVARIANT: All fields are initialised, and the one user is the new value.
        Shared { object }
    }

    pub(crate) fn into_raw(self) -> NonNull<Object<T>> {
        ManuallyDrop::new(self).object
    }

    /// # Safety
    ///
    /// `object` comes from [`Self::into_raw`], and is given back only once.
    pub(crate) unsafe fn from_raw(object: NonNull<Object<T>>) -> Self {
        // INVARIANT: By the safety requirements.
        Self { object }
    }

    /// Where the memory is.
    pub fn node(&self) -> Node {
        // SAFETY: By the type invariant it is memory of a slab.
        let id = unsafe { bindings::virt_to_nid(self.object.as_ptr().cast()) };
        // SAFETY: The kernel told of it.
        unsafe { Node::of_id(id) }
    }
}

impl<T> Drop for Blank<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, and nobody else has it.
        unsafe { Slab::free(self.object) };
    }
}

/// A shared reference to an object, which is dropped with the last of them.
///
/// # Invariants
///
/// `object` is one of a cache, all of it is initialised, and one of its users is this value.
pub struct Shared<T> {
    object: NonNull<Object<T>>,
}

// SAFETY: As for `Arc`: several threads may use the value, and any may drop it.
unsafe impl<T: Send + Sync> Send for Shared<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub(crate) fn as_ptr(&self) -> NonNull<Object<T>> {
        self.object
    }

    /// # Safety
    ///
    /// `object` is that of a [`Self::as_ptr`], and one of its users becomes the new value.
    pub(crate) unsafe fn from_ptr(object: NonNull<Object<T>>) -> Self {
        // INVARIANT: By the safety requirements.
        Self { object }
    }

    /// Drops the value and keeps the memory.
    ///
    /// # Safety
    ///
    /// There is no other user.
    pub(crate) unsafe fn into_blank(self) -> Blank<T> {
        let object = ManuallyDrop::new(self).object;
        // SAFETY: By the safety requirements the value is ours alone.
        unsafe { core::ptr::drop_in_place(&raw mut (*object.as_ptr()).value) };
        // INVARIANT: Its `slab` is still initialised, and nobody else has it.
        Blank { object }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        // SAFETY: By the type invariant the object is there.
        unsafe { self.object.as_ref() }.users.inc();
        // INVARIANT: There is one user more.
        Self {
            object: self.object,
        }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: By the type invariant the object is there as long as `self`.
        &unsafe { self.object.as_ref() }.value
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the object is there.
        if !unsafe { self.object.as_ref() }.users.dec_and_test() {
            return;
        }
        // SAFETY: That was the last user: the value is ours alone.
        unsafe { core::ptr::drop_in_place(&raw mut (*self.object.as_ptr()).value) };
        // SAFETY: As above; it is not used again.
        unsafe { Slab::free(self.object) };
    }
}
