// SPDX-License-Identifier: GPL-2.0

//! The devices that a target opened.

use crate::bindings::{
    self,
    dm_dev,
    dm_target, //
};
use core::ptr::NonNull;
use kernel::{
    bindings::block_device,
    ffi::{
        c_int,
        c_void, //
    }, //
};

/// One of the devices that a target opened, in the order of opening. It says nothing to other
/// targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceId(usize);

/// The devices that a target opened.
///
/// # Invariants
///
/// The first `count` of `handles` are devices that `dm_get_device` returned for `target`, not yet
/// put, and each of `devices` is the block device of the handle in its place. The others are
/// `None`.
pub(super) struct Devices {
    /// Beside each other, for the I/O path.
    devices: [Option<NonNull<block_device>>; Self::MOST],
    handles: [Option<NonNull<dm_dev>>; Self::MOST],
    count: usize,
    target: NonNull<dm_target>,
}

impl Devices {
    /// How many there can be.
    pub(super) const MOST: usize = 4;

    pub(super) fn new(target: NonNull<dm_target>) -> Self {
        // INVARIANT: No devices.
        Self {
            devices: [None; Self::MOST],
            handles: [None; Self::MOST],
            count: 0,
            target,
        }
    }

    /// Whether there is no room for one more.
    pub(super) fn is_full(&self) -> bool {
        self.count >= Self::MOST
    }

    /// Adds a device.
    ///
    /// # Safety
    ///
    /// `handle` must have been returned by `dm_get_device` for the target of this list, and be put
    /// by nobody else. The list must not be full.
    pub(super) unsafe fn push(&mut self, handle: NonNull<dm_dev>) -> DeviceId {
        let id = DeviceId(self.count);
        // SAFETY: The device is open by the safety requirements.
        let device = unsafe { (*handle.as_ptr()).bdev };
        if let (Some(its_handle), Some(its_device)) =
            (self.handles.get_mut(id.0), self.devices.get_mut(id.0))
        {
            // INVARIANT: By the safety requirements.
            (*its_handle, *its_device) = (Some(handle), NonNull::new(device));
            self.count += 1;
        }
        id
    }

    /// The handle of a device, which is open while `self` lives.
    fn handle(&self, id: DeviceId) -> Option<NonNull<dm_dev>> {
        self.handles.get(id.0).copied().flatten()
    }

    /// A device, which is open while `self` lives.
    #[inline]
    pub(super) fn device(&self, id: DeviceId) -> Option<NonNull<block_device>> {
        self.devices.get(id.0).copied().flatten()
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        for handle in self.handles.iter().flatten() {
            // SAFETY: By the type invariant; the target lives until its destructor returns, or its
            // constructor fails, and this is dropped before that.
            unsafe { bindings::dm_put_device(self.target.as_ptr(), handle.as_ptr()) };
        }
    }
}

/// What device mapper has be called for each part of a device (`iterate_devices_callout_fn`).
pub(super) type Callback =
    unsafe extern "C" fn(*mut dm_target, *mut dm_dev, u64, u64, *mut c_void) -> c_int;

/// Shows the devices of a target to one of device mapper's callbacks.
///
/// # Invariants
///
/// `callback` may be called with `raw`, which has the devices `devices`, any part of one of these,
/// and `data`.
pub struct DeviceVisitor<'a> {
    raw: NonNull<dm_target>,
    devices: &'a Devices,
    callback: Callback,
    data: *mut c_void,
    answer: c_int,
}

impl<'a> DeviceVisitor<'a> {
    /// # Safety
    ///
    /// `raw` must be a target that has the devices `devices`, and `callback` may be called with it,
    /// any part of one of these, and `data`, while the value lives.
    pub(super) unsafe fn new(
        raw: NonNull<dm_target>,
        devices: &'a Devices,
        callback: Callback,
        data: *mut c_void,
    ) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            raw,
            devices,
            callback,
            data,
            answer: 0,
        }
    }

    /// What the callback answered.
    pub(super) fn answer(&self) -> c_int {
        self.answer
    }

    /// Shows `sectors` sectors from `start` on of a device that this target opened.
    ///
    /// Once the callback gave an answer other than zero it is not called again.
    pub fn visit(&mut self, device: DeviceId, start: u64, sectors: u64) {
        let Some(device) = self.devices.handle(device) else {
            return;
        };
        if self.answer != 0 {
            return;
        }
        // SAFETY: By the type invariant, and the device is open by that of `Devices`.
        self.answer = unsafe {
            (self.callback)(
                self.raw.as_ptr(),
                device.as_ptr(),
                start,
                sectors,
                self.data,
            )
        };
    }
}
