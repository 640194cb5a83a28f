// SPDX-License-Identifier: GPL-2.0

//! Little-endian numbers in a block.

/// The bytes from `at` on; zeroes where the block ends before.
pub(super) fn bytes<const N: usize>(block: &[u8], at: usize) -> [u8; N] {
    let found = block.get(at..).and_then(|rest| rest.first_chunk::<N>());
    found.copied().unwrap_or([0; N])
}

/// Writes `value` at `at`, if it lies within the block.
pub(super) fn put(block: &mut [u8], at: usize, value: &[u8]) {
    let place = block
        .get_mut(at..)
        .and_then(|rest| rest.get_mut(..value.len()));
    if let Some(place) = place {
        place.copy_from_slice(value);
    }
}

/// The 16-bit number at `at`.
pub(super) fn u16_at(block: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes(block, at))
}

/// The 32-bit number at `at`.
pub(super) fn u32_at(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes(block, at))
}

/// The 64-bit number at `at`.
pub(super) fn u64_at(block: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes(block, at))
}
