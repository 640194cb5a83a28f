// SPDX-License-Identifier: GPL-2.0

//! Random numbers.
//!
//! C header: [`include/linux/random.h`](srctree/include/linux/random.h).

/// Random bytes, fit for names that must never be given twice. Any context.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // SAFETY: The pointer is valid for writes of the length.
    unsafe { kernel::bindings::get_random_bytes(bytes.as_mut_ptr().cast(), N) };
    bytes
}
