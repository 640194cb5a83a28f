// SPDX-License-Identifier: GPL-2.0

//! Words of a table line or a message.

use core::marker::PhantomData;
use kernel::{
    ffi::{
        c_char,
        c_uint, //
    },
    prelude::*, //
};

/// The words, in order.
///
/// # Invariants
///
/// `words` points to `left` valid pointers to NUL-terminated strings, all of which stay unchanged
/// for `'a`.
#[derive(Clone)]
pub struct Args<'a> {
    words: *const *mut c_char,
    left: usize,
    _words: PhantomData<&'a CStr>,
}

impl Args<'_> {
    /// Takes the words that C passes.
    ///
    /// # Safety
    ///
    /// `words` must point to `count` pointers to NUL-terminated strings, and all of that must stay
    /// unchanged for as long as the caller uses the value returned.
    pub(super) unsafe fn from_raw(count: c_uint, words: *mut *mut c_char) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            words,
            left: count as usize,
            _words: PhantomData,
        }
    }
}

impl<'a> Iterator for Args<'a> {
    type Item = &'a CStr;

    fn next(&mut self) -> Option<&'a CStr> {
        self.left = self.left.checked_sub(1)?;
        // SAFETY: By the type invariant there was at least one word left.
        let word = unsafe { *self.words };
        // INVARIANT: One word less is left behind the pointer.
        // SAFETY: As above; one past the last word is still a valid pointer to compute.
        self.words = unsafe { self.words.add(1) };
        // SAFETY: By the type invariant the word is NUL-terminated and unchanged for `'a`.
        Some(unsafe { CStr::from_char_ptr(word) })
    }
}
