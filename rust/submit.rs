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
    sync::rcu, //
};

/// The owner of the data of I/O.
///
/// While the I/O is in flight it has its owner, so that nobody else reaches the data. That the owner
/// is `'static` is needed for soundness: an owner that borrows would let a shorter borrow out of the
/// closure that finds the data, which is over when the function that submits returns.
///
/// # Examples
///
/// ```ignore
/// struct Task {
///     buffer: Buffer,
///     ended: Arc<UniqueQueue<Task>>,
/// }
///
/// impl Submitter for Task {
///     fn ended(this: Unique<Self>, done: Result<(), Status>) {
///         let ended = this.ended.clone();
///         ended.push(this);
///     }
/// }
///
/// set.submit((Transfer::Read, &device, 0), task, |task| Some((&mut task.buffer, 0..4096)));
/// ```
pub trait Submitter: Send + Sized + 'static {
    /// The I/O has ended. Any context but NMI, with preemption perhaps disabled: must not sleep.
    ///
    /// It may be called before the function that submits returns, and so must not take a lock that
    /// the submitter holds. It must not submit anything itself, nor drop the set.
    fn ended(this: Unique<Self>, done: Result<(), Status>);
}

/// What is done, on which device, from which of its sectors of 512 bytes on.
pub type Place<'a> = (Transfer, &'a BlockDevice, u64);

impl BioSet {
    /// Does I/O with a part of a buffer of `owner`, in bytes and whole sectors, on behalf of the
    /// system: no control group's limits apply. What makes no sense fails with [`Status::IOERR`].
    ///
    /// May sleep, for memory and where the device's queue is full. Within `map` of a device the I/O
    /// begins only when that returns, so that a second call may wait for ever.
    pub fn submit<T: Submitter>(
        &self,
        (transfer, device, sector): Place<'_>,
        mut owner: Unique<T>,
        data: impl FnOnce(&mut T) -> Option<(&mut Buffer, Range<usize>)>,
    ) {
        let own = data(&mut owner).and_then(|(buffer, range)| {
            // SAFETY: `data` works for every lifetime, also for one that ends only when the I/O has
            // ended: `T: 'static` sets it no bound, so that no shorter borrow that it captured can
            // be returned. What it returns is borrowed from `owner`, or from what lives for ever
            // and was given up. Nobody uses `owner` until then, as the I/O has it.
            unsafe { self.with_buffer(transfer, device, buffer, range) }.ok()
        });
        match own {
            // SAFETY: The bio is of this set and for this device, and its data are as above.
            Some(own) => unsafe { self.start(own, device, sector, owner, submit_for_all) },
            None => T::ended(owner, Err(Status::IOERR)),
        }
    }

    /// Writes zeroes, so many bytes in whole sectors and at most [`Buffer::MOST`], as
    /// [`Self::submit`] does.
    pub fn submit_zeroes<T: Submitter>(
        &self,
        (transfer, device, sector): Place<'_>,
        owner: Unique<T>,
        bytes: usize,
    ) {
        match self.with_zeroes(transfer, device, bytes) {
            // SAFETY: The bio is of this set and for this device, and its data are always there.
            Ok(own) => unsafe { self.start(own, device, sector, owner, submit_for_all) },
            Err(status) => T::ended(owner, Err(status)),
        }
    }

    /// Has `submit` submit a bio.
    ///
    /// # Safety
    ///
    /// The bio must be of this set, for `device`, and may be submitted. Nobody but the I/O may use
    /// its data until that has ended, of which having `owner` is the sign. `submit` must submit the
    /// bio that it is called with.
    pub(crate) unsafe fn start<T: Submitter>(
        &self,
        mut own: OwnBio,
        device: &BlockDevice,
        sector: u64,
        mut owner: Unique<T>,
        submit: impl FnOnce(NonNull<bio>),
    ) {
        own.at(sector);
        self.enter();
        owner.slot_mut().lent = Some((NonNull::from(self), device.again()));
        let raw = own.into_raw();
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
    // SAFETY: What calls this promises that the bio may be submitted.
    unsafe {
        bindings::bio_associate_blkg_from_root(raw.as_ptr());
        kernel::bindings::submit_bio(raw.as_ptr());
    }
}

/// The end function of a bio that [`BioSet::start`] submitted.
///
/// # Safety
///
/// `raw` must be such a bio, with an owner of type `T`, and have ended.
unsafe extern "C" fn ended<T: Submitter>(raw: *mut bio) {
    // Nobody unloads the module within this section: the set does not wait for its end.
    let guard = rcu::read_lock();
    // SAFETY: By the safety requirements; `start` put the owner there.
    let owner = unsafe { NonNull::new_unchecked((*raw).bi_private.cast()) };
    // SAFETY: As above.
    let status = Status(unsafe { (*raw).bi_status });
    // SAFETY: As above; this is the last use of the bio.
    unsafe { kernel::bindings::bio_put(raw) };
    // SAFETY: It comes from `into_raw` in `start`, and a bio ends once.
    let mut owner = unsafe { Unique::<T>::from_raw(owner) };
    let lent = owner.slot_mut().lent.take();
    T::ended(owner, status.to_result());
    if let Some((set, _device)) = lent {
        // SAFETY: The set is not dropped before it was left.
        unsafe { BioSet::leave(set) };
    }
    drop(guard);
}
