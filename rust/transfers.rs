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
use core::ptr::NonNull;
use kernel::{
    bindings::bio,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full, //
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
    left: Atomic<u32>,
    #[pin]
    done: Completion,
}

impl BioSet {
    /// Does all of these transfers at once on behalf of the system, and waits for all of them.
    /// Sleeps, as [`Self::transfer`] does.
    ///
    /// It may wait for ever where memory is short and the set has fewer bios in reserve than those
    /// who use it at a time need together.
    pub fn transfer_all<const N: usize>(&self, parts: &mut [Option<Part<'_>>; N]) {
        const { assert!(N <= 16, "too many for a stack") };
        let mut bios: [Option<OwnBio>; N] = [const { None }; N];
        for (slot, part) in bios.iter_mut().zip(parts.iter_mut()) {
            let Some(part) = part else { continue };
            let (transfer, device, sector) = part.place;
            let own = match &mut part.data {
                // SAFETY: All of them have ended when this function returns, and `parts` are
                // borrowed exclusively until then.
                Some((buffer, range)) => unsafe {
                    self.with_buffer(transfer, device, buffer, range.clone())
                },
                None if transfer == Transfer::Flush => Ok(self.allocate(device, transfer, 0)),
                None => Err(Status::IOERR),
            };
            match own {
                Ok(mut own) => {
                    own.at(sector);
                    *slot = Some(own);
                }
                Err(status) => part.done = Err(status),
            }
        }
        let statuses = submit_all(bios);
        for (part, status) in parts.iter_mut().zip(statuses) {
            if let (Some(part), Some(status)) = (part, status) {
                part.done = status.to_result();
            }
        }
    }
}

/// Submits these bios and waits for them; how each ended.
fn submit_all<const N: usize>(bios: [Option<OwnBio>; N]) -> [Option<Status>; N] {
    let count = bios.iter().flatten().count() as u32;
    if count == 0 {
        return [None; N];
    }
    pin_init::stack_pin_init!(let waiter = pin_init!(Waiter {
        left: Atomic::new(count),
        done <- Completion::new(),
    }));
    let waiter: &Waiter = &waiter;
    let bios = bios.map(|own| own.map(OwnBio::into_raw));
    for raw in bios.iter().flatten() {
        // SAFETY: The bio is ours, has a device, a sector, and data that outlive it; the waiter is
        // there until all of them have ended.
        unsafe {
            (*raw.as_ptr()).bi_private = core::ptr::from_ref(waiter).cast_mut().cast();
            (*raw.as_ptr()).bi_end_io = Some(ended);
        }
        submit_for_all(*raw);
    }
    waiter.done.wait_for_completion();
    bios.map(|raw| raw.map(status_of))
}

/// How a bio of [`submit_all`] ended, which is put.
fn status_of(raw: NonNull<bio>) -> Status {
    // SAFETY: It was `into_raw`, and has ended.
    unsafe { OwnBio::from_raw(raw) }.end_status()
}

/// The end function of a bio of [`submit_all`].
///
/// # Safety
///
/// `raw` must be such a bio, and have ended.
unsafe extern "C" fn ended(raw: *mut bio) {
    // Nobody unloads the module within this section: who waits does not wait for its end.
    let guard = rcu::read_lock();
    // SAFETY: By the safety requirements; the waiter is there until the last bio has ended.
    let waiter = unsafe { &*(*raw).bi_private.cast::<Waiter>() };
    if waiter.left.fetch_sub(1, Full) == 1 {
        waiter.done.complete_all();
    }
    drop(guard);
}
