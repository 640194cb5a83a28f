// SPDX-License-Identifier: GPL-2.0

//! Several transfers at once.
//!
//! C header: [`include/linux/bio.h`](srctree/include/linux/bio.h).

use crate::bio::{
    BioSet,
    Buffer,
    OwnBio,
    Status,
    Transfer, //
};
use crate::submit::{
    submit_for_all,
    Place, //
};
use core::ops::Range;
use kernel::{
    bindings::{
        bio,
        blk_status_t, //
    },
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        rcu,
        Completion, //
    }, //
};

/// One of several transfers that are done at once.
///
/// # Examples
///
/// ```ignore
/// let write = (Transfer::Write, &device, 0);
/// let mut parts = [Some(Part::new(write, Some((&mut buffer, 0..4096)))), None];
/// set.transfer_all(&mut parts);
/// let written = parts[0].as_ref().map(Part::done);
/// ```
pub struct Part<'a> {
    place: Place<'a>,
    data: Option<(&'a mut Buffer, Range<usize>)>,
    done: Result<(), Status>,
}

impl<'a> Part<'a> {
    /// With these data, in bytes and whole sectors; without any for a flush.
    pub fn new(place: Place<'a>, data: Option<(&'a mut Buffer, Range<usize>)>) -> Self {
        Self {
            place,
            data,
            done: Err(Status::IOERR),
        }
    }

    /// How it ended; an I/O error before it was done.
    pub fn done(&self) -> Result<(), Status> {
        self.done
    }
}

/// Who waits for several bios.
#[pin_data]
struct Waiter {
    /// How many have not ended, and one more while some may still be submitted.
    left: Atomic<u32>,
    #[pin]
    done: Completion,
}

impl Waiter {
    /// One of those that are waited for is done.
    fn count(&self) {
        if self.left.fetch_sub(1, Full) == 1 {
            self.done.complete_all();
        }
    }
}

/// What the end of one of the bios leaves behind.
struct End<'a> {
    waiter: &'a Waiter,
    /// How it ended (`blk_status_t`).
    status: Atomic<u32>,
}

impl BioSet {
    /// Does all of these transfers at once on behalf of the system, and waits for all of them. They
    /// begin one after the other, so that one bio in reserve is enough. Sleeps, as
    /// [`Self::transfer`] does.
    pub fn transfer_all<const N: usize>(&self, parts: &mut [Option<Part<'_>>; N]) {
        const { assert!(N <= 16, "too many for a stack") };
        pin_init::stack_pin_init!(let waiter = pin_init!(Waiter {
            left: Atomic::new(1),
            done <- Completion::new(),
        }));
        let waiter: &Waiter = &waiter;
        let ends: [End<'_>; N] = core::array::from_fn(|_| End {
            waiter,
            status: Atomic::new(u32::from(Status::IOERR.0)),
        });
        for (part, end) in parts.iter_mut().zip(&ends) {
            let Some(part) = part else { continue };
            // SAFETY: All of them have ended when this function returns, and `parts` are borrowed
            // exclusively until then.
            if let Ok(own) = unsafe { self.bio_for(part) } {
                // SAFETY: As above, and `ends` are there until then.
                unsafe { submit(own, end) };
            }
        }
        waiter.count();
        waiter.done.wait_for_completion();
        for (part, end) in parts.iter_mut().zip(&ends) {
            if let Some(part) = part {
                // A `blk_status_t` was put there.
                part.done = Status(end.status.load(Relaxed) as blk_status_t).to_result();
            }
        }
    }

    /// The bio that does a part.
    ///
    /// # Safety
    ///
    /// It must have ended, or be dropped, before anybody else uses the buffer of the part.
    unsafe fn bio_for(&self, part: &mut Part<'_>) -> Result<OwnBio, Status> {
        let (transfer, device, sector) = part.place;
        let mut own = match &mut part.data {
            // SAFETY: By the safety requirements.
            Some((buffer, range)) => unsafe {
                self.with_buffer(transfer, device, buffer, range.clone())
            },
            None if transfer == Transfer::Flush => self.allocate(device, transfer, 0),
            None => Err(Status::IOERR),
        }?;
        own.at(sector);
        Ok(own)
    }
}

/// Submits a bio whose end is told to `end`.
///
/// # Safety
///
/// `end` and the data of the bio must be there until the bio has ended.
unsafe fn submit(own: OwnBio, end: &End<'_>) {
    end.waiter.left.fetch_add(1, Relaxed);
    let raw = own.into_raw();
    // SAFETY: The bio is ours, and has a device and a sector.
    unsafe {
        (*raw.as_ptr()).bi_private = core::ptr::from_ref(end).cast_mut().cast();
        (*raw.as_ptr()).bi_end_io = Some(ended);
    }
    submit_for_all(raw);
}

/// The end function of a bio of [`submit`].
///
/// # Safety
///
/// `raw` must be such a bio, and have ended.
unsafe extern "C" fn ended(raw: *mut bio) {
    // Nobody unloads the module within this section: who waits does not wait for its end.
    let guard = rcu::read_lock();
    // SAFETY: By the safety requirements; the end is there until the last bio has ended.
    let end = unsafe { &*(*raw).bi_private.cast::<End<'_>>() };
    // SAFETY: As above.
    let status = unsafe { (*raw).bi_status };
    // SAFETY: As above; this is the last use of the bio.
    unsafe { kernel::bindings::bio_put(raw) };
    end.status.store(u32::from(status), Relaxed);
    end.waiter.count();
    drop(guard);
}
