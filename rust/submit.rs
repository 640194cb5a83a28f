// SPDX-License-Identifier: GPL-2.0

//! I/O that nobody waits for: it is submitted together with what owns its data, and gives that back
//! when it ends.
//!
//! C headers: [`include/linux/bio.h`](srctree/include/linux/bio.h),
//! [`include/linux/blk_types.h`](srctree/include/linux/blk_types.h).

use crate::{
    bindings,
    bio::{
        BioSet,
        Buffer,
        OwnBio,
        Status,
        Transfer, //
    },
    block_device::BlockDevice,
    unique::Unique, //
};
use core::{
    ops::Range,
    ptr::NonNull, //
};
use kernel::{
    bindings::bio,
    sync::Arc, //
};

/// The owner of the data of I/O.
///
/// While the I/O is in flight it has its owner, so that nobody else reaches the data.
///
/// # Examples
///
/// ```ignore
/// struct Task {
///     buffer: Buffer,
/// }
///
/// impl Submitter for Task {
///     fn ended(this: Unique<Self>, done: Result<(), Status>) {
///         ENDED.push(this);
///     }
/// }
///
/// let read = (Transfer::Read, &device, 0);
/// BioSet::submit(&set, read, task, |task| Some((&mut task.buffer, 0..4096)));
/// ```
pub trait Submitter: Send + Sized + 'static {
    /// The I/O has ended. Any context but NMI: must not sleep.
    fn ended(this: Unique<Self>, done: Result<(), Status>);
}

/// What is done, on which device, from which of its sectors on.
pub type Place<'a> = (Transfer, &'a BlockDevice, u64);

impl BioSet {
    /// Does I/O with a part of a buffer of `owner`, in bytes and whole sectors, on behalf of the
    /// system: no control group's limits apply. What makes no sense fails with
    /// [`Status::IOERR`]. May sleep.
    pub fn submit<T: Submitter>(
        this: &Arc<Self>,
        (transfer, device, sector): Place<'_>,
        mut owner: Unique<T>,
        data: impl FnOnce(&mut T) -> Option<(&mut Buffer, Range<usize>)>,
    ) {
        let own = data(&mut owner).and_then(|(buffer, range)| {
            // SAFETY: The owner of the buffer is the I/O's until that has ended.
            unsafe { this.with_buffer(transfer, device, buffer, range) }.ok()
        });
        match own {
            Some(own) => own.start(this, device, sector, owner, submit_for_all),
            None => T::ended(owner, Err(Status::IOERR)),
        }
    }

    /// Writes zeroes, so many bytes in whole sectors and at most [`Buffer::MOST`], as
    /// [`Self::submit`] does.
    pub fn submit_zeroes<T: Submitter>(
        this: &Arc<Self>,
        (transfer, device, sector): Place<'_>,
        owner: Unique<T>,
        bytes: usize,
    ) {
        match this.with_zeroes(transfer, device, bytes) {
            Ok(own) => own.start(this, device, sector, owner, submit_for_all),
            Err(status) => T::ended(owner, Err(status)),
        }
    }
}

impl OwnBio {
    /// Has `submit` submit the bio, whose data belong to `owner` or to nobody.
    pub(crate) fn start<T: Submitter>(
        mut self,
        set: &Arc<BioSet>,
        device: &BlockDevice,
        sector: u64,
        mut owner: Unique<T>,
        submit: impl FnOnce(NonNull<bio>),
    ) {
        self.at(sector);
        owner.slot_mut().lent = Some((set.clone(), device.again()));
        let raw = self.into_raw();
        // SAFETY: The bio is ours. `ended` takes back what `bi_private` points to.
        unsafe {
            (*raw.as_ptr()).bi_private = owner.into_raw().as_ptr().cast();
            (*raw.as_ptr()).bi_end_io = Some(ended::<T>);
        }
        submit(raw);
    }
}

/// Submits a bio in the root control group.
pub(crate) fn submit_for_all(raw: NonNull<bio>) {
    // SAFETY: `OwnBio::start` calls this, with a bio that has a device, an end function and
    // data that live until that was called.
    unsafe {
        bindings::bio_associate_blkg_from_root(raw.as_ptr());
        kernel::bindings::submit_bio(raw.as_ptr());
    }
}

/// The end function of a bio that [`OwnBio::start`] submitted.
///
/// # Safety
///
/// `raw` must be such a bio, with an owner of type `T`, and have ended.
unsafe extern "C" fn ended<T: Submitter>(raw: *mut bio) {
    // SAFETY: By the safety requirements; `start` put the owner there.
    let owner = unsafe { NonNull::new_unchecked((*raw).bi_private.cast()) };
    // SAFETY: As above.
    let status = Status(unsafe { (*raw).bi_status });
    // SAFETY: As above; this is the last use of the bio.
    unsafe { kernel::bindings::bio_put(raw) };
    // SAFETY: It comes from `into_raw` in `start`, and a bio ends once.
    let mut owner = unsafe { Unique::<T>::from_raw(owner) };
    owner.slot_mut().lent = None;
    T::ended(owner, status.to_result());
}
