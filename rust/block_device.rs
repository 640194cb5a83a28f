// SPDX-License-Identifier: GPL-2.0

//! Open block devices.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h).

use crate::bindings;
use core::ptr::NonNull;
use kernel::bindings::{
    block_device,
    file, //
};

/// A block device that is held open.
///
/// # Invariants
///
/// - `file` is a reference, owned by this value, to the open file of a block device.
/// - `device` is the block device of that file, which lives as long as the file is open.
pub struct BlockDevice {
    file: NonNull<file>,
    device: NonNull<block_device>,
}

// SAFETY: File references belong to no thread.
unsafe impl Send for BlockDevice {}
// SAFETY: All that is done through a shared reference may be done concurrently.
unsafe impl Sync for BlockDevice {}

impl BlockDevice {
    /// Takes a further reference to an open block device.
    ///
    /// # Safety
    ///
    /// `file` must be the open file of a block device, with a reference that the caller holds
    /// during the call.
    pub(crate) unsafe fn from_file(file: NonNull<file>) -> Self {
        // SAFETY: The caller holds a reference, so that the count is not zero.
        unsafe { bindings::get_file(file.as_ptr()) };
        // SAFETY: `file` is a block device's file by the safety requirements.
        let device = unsafe { bindings::file_bdev(file.as_ptr()) };
        // SAFETY: An open block device's file has a device.
        let device = unsafe { NonNull::new_unchecked(device) };
        // INVARIANT: The reference taken above is ours.
        Self { file, device }
    }

    /// A further reference to the same.
    pub fn again(&self) -> Self {
        // SAFETY: By the type invariant `self` holds a reference to the open file of a block
        // device.
        unsafe { Self::from_file(self.file) }
    }

    pub(crate) fn as_ptr(&self) -> *mut block_device {
        self.device.as_ptr()
    }

    /// Its length in 512-byte sectors.
    pub fn sectors(&self) -> u64 {
        // SAFETY: The device is live by the type invariant.
        unsafe { bindings::bdev_nr_sectors(self.as_ptr()) }
    }

    /// Its logical block size in bytes.
    pub fn logical_block_size(&self) -> u32 {
        // SAFETY: The device is live by the type invariant.
        unsafe { bindings::bdev_logical_block_size(self.as_ptr()) }
    }

    /// Its physical block size in bytes.
    pub fn physical_block_size(&self) -> u32 {
        // SAFETY: The device is live by the type invariant.
        unsafe { bindings::bdev_physical_block_size(self.as_ptr()) }
    }

    /// Whether it takes discards at this moment.
    pub fn takes_discards(&self) -> bool {
        // SAFETY: The device is live by the type invariant.
        unsafe { bindings::bdev_max_discard_sectors(self.as_ptr()) != 0 }
    }

    /// Whether it is a zoned device.
    pub fn is_zoned(&self) -> bool {
        // SAFETY: The device is live by the type invariant.
        unsafe { bindings::bdev_is_zoned(self.as_ptr()) }
    }

    /// Whether it refuses writes.
    pub fn is_read_only(&self) -> bool {
        // SAFETY: The device is live by the type invariant.
        unsafe { bindings::bdev_read_only(self.as_ptr()) }
    }

    /// Its number, major and minor.
    pub fn number(&self) -> (u32, u32) {
        // SAFETY: The device is live by the type invariant; its number never changes.
        let number = unsafe { (*self.as_ptr()).bd_dev };
        (number >> 20, number & ((1 << 20) - 1))
    }

    /// How many sectors its disk has read, written and discarded, and how often it flushed, for all
    /// who use it and from when on nobody says; always the same where its driver does not count or
    /// `queue/iostats` is 0.
    pub fn disk_done(&self) -> u64 {
        // SAFETY: The device, and with it its disk, is live by the type invariant.
        unsafe { bindings::disk_done(self.as_ptr()) }
    }

    /// How many requests to its disk have not ended, of all who use it and as far as its driver
    /// counts. One that has just ended may be among them.
    pub fn disk_in_flight(&self) -> u32 {
        // SAFETY: The device, and with it its disk, is live by the type invariant.
        unsafe { bindings::disk_in_flight(self.as_ptr()) }
    }

    /// Where it begins on the disk it is a part of, in sectors; 0 for a whole disk.
    pub fn start_on_disk(&self) -> u64 {
        // SAFETY: The device is live by the type invariant; a partition in use does not move.
        unsafe { (*self.as_ptr()).bd_start_sect }
    }

    /// Whether both are, or are parts of, the same disk.
    pub fn same_disk(&self, other: &Self) -> bool {
        // SAFETY: Both devices are live by the type invariant; the disk of a device never changes.
        unsafe { (*self.as_ptr()).bd_disk == (*other.as_ptr()).bd_disk }
    }
}

impl Drop for BlockDevice {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this reference is ours.
        unsafe { kernel::bindings::fput(self.file.as_ptr()) };
    }
}
