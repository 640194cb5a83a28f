// SPDX-License-Identifier: GPL-2.0

//! Checksums.
//!
//! C header: [`include/linux/crc32.h`](srctree/include/linux/crc32.h).

use crate::bindings;

/// The CRC32C of `bytes`, begun and ended inverted, as iSCSI, ext4 and btrfs have it. Any context.
pub fn crc32c(bytes: &[u8]) -> u32 {
    // SAFETY: The pointer is valid for reads of the length.
    !unsafe { bindings::crc32c(!0, bytes.as_ptr().cast(), bytes.len()) }
}
