// SPDX-License-Identifier: GPL-2.0

//! Text for C callers that bring a buffer.

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use kernel::ffi::c_char;

/// A NUL-terminated text in memory that a C caller lends, which cannot overrun it.
///
/// What does not fit is cut off. The buffer is then full to its last byte, which is how device
/// mapper sees that it must come again with a larger one (`dm_message_test_buffer_overflow`).
///
/// # Invariants
///
/// - `start` points to `size` writable bytes that nothing else accesses for `'a`.
/// - `len < size`, or `size` is zero.
/// - The byte at `len`, where there is one, is NUL.
pub struct Text<'a> {
    start: NonNull<u8>,
    size: usize,
    len: usize,
    full: bool,
    _buffer: PhantomData<&'a mut [u8]>,
}

impl<'a> Text<'a> {
    /// Begins an empty text in `buffer`.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        if let Some(first) = buffer.first_mut() {
            *first = 0;
        }
        // INVARIANT: The slice is exclusively borrowed for `'a` and its first byte was just set.
        Self {
            start: NonNull::from(&mut *buffer).cast(),
            size: buffer.len(),
            len: 0,
            full: false,
            _buffer: PhantomData,
        }
    }

    /// Begins an empty text in the `size` bytes at `start`.
    ///
    /// # Safety
    ///
    /// `start` must point to `size` bytes that may be written and that nothing else accesses for
    /// `'a`; it may be null where `size` is zero.
    pub(crate) unsafe fn from_raw(start: *mut c_char, size: usize) -> Self {
        let (start, size) = match NonNull::new(start.cast::<u8>()) {
            Some(start) => (start, size),
            None => (NonNull::dangling(), 0),
        };
        if size > 0 {
            // SAFETY: The caller promises at least one writable byte here.
            unsafe { start.write(0) };
        }
        // INVARIANT: By the safety requirements, and the first byte was just set.
        Self {
            start,
            size,
            len: 0,
            full: false,
            _buffer: PhantomData,
        }
    }

    /// Whether something was cut off.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// How many bytes still fit.
    pub fn room(&self) -> usize {
        (self.size - self.len).saturating_sub(1)
    }
}

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fitting = text.len().min(self.room());
        self.full |= fitting < text.len();
        if fitting == 0 {
            return Ok(());
        }
        // SAFETY: `len + fitting < size`, so both the bytes and the NUL behind them lie in the
        // buffer, which is ours by the type invariant; `text` cannot overlap it.
        unsafe {
            self.start
                .add(self.len)
                .copy_from_nonoverlapping(NonNull::from(text).cast(), fitting)
        };
        // INVARIANT: `len` stays below `size` and its byte is set next.
        self.len += fitting;
        // SAFETY: As above.
        unsafe { self.start.add(self.len).write(0) };
        Ok(())
    }
}
