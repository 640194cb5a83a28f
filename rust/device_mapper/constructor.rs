// SPDX-License-Identifier: GPL-2.0

//! What a target may do while it is made.

use super::{
    devices::{
        DeviceId,
        Devices, //
    },
    events::TableEvents, //
};
use crate::bindings;
use crate::block_device::BlockDevice;
use core::ptr::NonNull;
use kernel::{
    error::to_result,
    prelude::*,
    sync::Arc, //
};

/// Why a table line is refused: a text for the administrator and an error number.
#[derive(Clone, Copy)]
pub struct NewError {
    /// What device mapper logs.
    pub reason: &'static CStr,
    /// What the caller gets.
    pub error: Error,
}

impl NewError {
    /// Puts both together.
    pub const fn new(reason: &'static CStr, error: Error) -> Self {
        Self { reason, error }
    }
}

impl From<kernel::alloc::AllocError> for NewError {
    fn from(error: kernel::alloc::AllocError) -> Self {
        Self::new(c"out of memory", error.into())
    }
}

/// A target that is being made. `S` is what all targets of its type share.
///
/// # Invariants
///
/// - `raw` is the target that the constructor was called for; its `table`, `begin` and `len` are
///   set, and nobody else accesses it meanwhile.
pub struct Constructor<'a, S> {
    raw: NonNull<bindings::dm_target>,
    devices: &'a mut Devices,
    events: &'a TableEvents,
    shared: Option<Arc<S>>,
}

impl<'a, S> Constructor<'a, S> {
    /// How many devices a target can open.
    pub const MOST_DEVICES: usize = Devices::MOST;

    /// # Safety
    ///
    /// `raw` must be the target of a constructor call that is under way.
    pub(super) unsafe fn new(
        raw: NonNull<bindings::dm_target>,
        devices: &'a mut Devices,
        events: &'a TableEvents,
        shared: Option<Arc<S>>,
    ) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            raw,
            devices,
            events,
            shared,
        }
    }

    /// The first sector of the target within the mapped device.
    pub fn begin(&self) -> u64 {
        // SAFETY: By the type invariant.
        unsafe { (*self.raw.as_ptr()).begin }
    }

    /// The target's length in sectors.
    pub fn sectors(&self) -> u64 {
        // SAFETY: By the type invariant.
        unsafe { (*self.raw.as_ptr()).len }
    }

    fn mode(&self) -> kernel::bindings::blk_mode_t {
        // SAFETY: By the type invariant the table is set and live.
        unsafe { bindings::dm_table_get_mode((*self.raw.as_ptr()).table) }
    }

    /// Whether the table is read-only.
    pub fn is_read_only(&self) -> bool {
        self.mode() & bindings::BLK_OPEN_WRITE == 0
    }

    /// A number that tells the mapped device of this table from all others that now exist.
    pub fn mapped_device(&self) -> usize {
        // SAFETY: By the type invariant the table is set and live.
        unsafe { bindings::dm_table_get_md((*self.raw.as_ptr()).table) as usize }
    }

    /// What all targets of the type share. Fails once the type is no longer registered.
    pub fn shared(&self) -> Result<Arc<S>, NewError> {
        let shared = self.shared.clone();
        shared.ok_or(NewError::new(c"target type is no longer registered", ENXIO))
    }

    /// The events of this table.
    pub fn events(&self) -> TableEvents {
        self.events.clone()
    }

    /// Opens a device by path or `major:minor`, for writing unless the table is read-only. A target
    /// has at most [`Self::MOST_DEVICES`].
    pub fn open(&mut self, path: &CStr) -> Result<(DeviceId, BlockDevice)> {
        if self.devices.is_full() {
            return Err(ENOSPC);
        }
        let mut device = core::ptr::null_mut();
        // SAFETY: The target is that of a constructor call, and `path` is NUL-terminated.
        to_result(unsafe {
            bindings::dm_get_device(
                self.raw.as_ptr(),
                path.as_char_ptr(),
                self.mode(),
                &mut device,
            )
        })?;
        let device = NonNull::new(device).ok_or(ENXIO)?;
        // SAFETY: Just got for this target, to be put when the list is dropped, and there is room.
        let id = unsafe { self.devices.push(device) };
        // SAFETY: A device-mapper device is open and its file is that of a block device.
        let file = unsafe { (*device.as_ptr()).bdev_file };
        let file = NonNull::new(file).ok_or(ENXIO)?;
        // SAFETY: As above; the list keeps the device open during the call.
        Ok((id, unsafe { BlockDevice::from_file(file) }))
    }

    /// Takes discards even where not every device of
    /// [`Target::iterate_devices`](super::Target::iterate_devices) does.
    pub fn take_discards(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { (*self.raw.as_ptr()).set_discards_supported(true) };
    }
}
