// SPDX-License-Identifier: GPL-2.0

//! As `kernel::alloc`, over the memory of the process.

use pinned_init::PinInit;
use std::{
    mem::MaybeUninit,
    ops::Deref,
    pin::Pin, //
};

/// There is no memory, which does not happen here.
#[derive(Debug)]
pub struct AllocError;

/// How memory is allocated.
#[derive(Clone, Copy)]
pub struct Flags;

/// May sleep.
pub const GFP_KERNEL: Flags = Flags;

/// A box.
pub struct KBox<T>(Box<T>);

impl<T> KBox<T> {
    /// Allocates one that holds `value`.
    pub fn new(value: T, _: Flags) -> Result<Self, AllocError> {
        Ok(Self(Box::new(value)))
    }

    /// Allocates one that holds nothing yet.
    pub fn new_uninit(_: Flags) -> Result<KBox<MaybeUninit<T>>, AllocError> {
        Ok(KBox(Box::new_uninit()))
    }

    /// Allocates one and has its value made there.
    pub fn pin_init<E>(init: impl PinInit<T, E>, _: Flags) -> Result<Pin<Self>, E> {
        let mut memory = Box::<T>::new_uninit();
        // SAFETY: The memory is for such a value, stays where it is, and is a box of it only once it is made.
        unsafe {
            init.__pinned_init(memory.as_mut_ptr())?;
            Ok(Pin::new_unchecked(Self(memory.assume_init())))
        }
    }

    /// Leaks it.
    pub fn into_raw(this: Self) -> *mut T {
        Box::into_raw(this.0)
    }

    /// Takes back what was leaked.
    ///
    /// # Safety
    ///
    /// It comes from [`Self::into_raw`] and is taken back once.
    pub unsafe fn from_raw(raw: *mut T) -> Self {
        // SAFETY: As the caller says.
        Self(unsafe { Box::from_raw(raw) })
    }
}

impl<T> KBox<MaybeUninit<T>> {
    /// Puts a value in it.
    pub fn write(this: Self, value: T) -> KBox<T> {
        let raw = Box::into_raw(this.0).cast::<T>();
        // SAFETY: The memory is ours and for a value of this type, which it then holds.
        unsafe {
            raw.write(value);
            KBox::from_raw(raw)
        }
    }
}

impl<T> Deref for KBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
