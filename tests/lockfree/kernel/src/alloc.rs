// SPDX-License-Identifier: GPL-2.0

//! Like `kernel::alloc`, with the memory of the process.

use pinned_init::PinInit;
use std::{
    mem::MaybeUninit,
    ops::Deref,
    pin::Pin, //
};

/// A failed allocation, which does not occur here.
#[derive(Debug)]
pub struct AllocError;

/// The flags of an allocation.
#[derive(Clone, Copy)]
pub struct Flags;

/// The allocation may sleep.
pub const GFP_KERNEL: Flags = Flags;

/// A box.
pub struct KBox<T>(Box<T>);

impl<T> KBox<T> {
    /// Allocates a box with `value`.
    pub fn new(value: T, _: Flags) -> Result<Self, AllocError> {
        Ok(Self(Box::new(value)))
    }

    /// Allocates an uninitialised box.
    pub fn new_uninit(_: Flags) -> Result<KBox<MaybeUninit<T>>, AllocError> {
        Ok(KBox(Box::new_uninit()))
    }

    /// Allocates a box and initialises its value in place.
    pub fn pin_init<E>(init: impl PinInit<T, E>, _: Flags) -> Result<Pin<Self>, E> {
        let mut memory = Box::<T>::new_uninit();
        // SAFETY: The memory fits the value and stays in place; it becomes a box only after the
        // initialisation.
        unsafe {
            init.__pinned_init(memory.as_mut_ptr())?;
            Ok(Pin::new_unchecked(Self(memory.assume_init())))
        }
    }

    /// Leaks the box.
    pub fn into_raw(this: Self) -> *mut T {
        Box::into_raw(this.0)
    }

    /// Takes back a leaked box.
    ///
    /// # Safety
    ///
    /// `raw` comes from [`Self::into_raw`] and is taken back once.
    pub unsafe fn from_raw(raw: *mut T) -> Self {
        // SAFETY: By the contract of this function.
        Self(unsafe { Box::from_raw(raw) })
    }
}

impl<T> KBox<MaybeUninit<T>> {
    /// Initialises the box.
    pub fn write(this: Self, value: T) -> KBox<T> {
        let raw = Box::into_raw(this.0).cast::<T>();
        // SAFETY: The box owns memory for this type, which is initialised here.
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
