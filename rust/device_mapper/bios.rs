// SPDX-License-Identifier: GPL-2.0

//! The bios of a mapped device, at each stage of their way.

use super::devices::{
    DeviceId,
    Devices, //
};
use crate::bindings;
use crate::bio::{
    BioSet,
    Op,
    OwnBio,
    Status,
    Transfer,
    SECTOR_SHIFT, //
};
use crate::block_device::BlockDevice;
use crate::submit::{
    submit_for_all,
    Place,
    Submitter, //
};
use crate::unique::Unique;
use core::marker::PhantomData;
use core::ops::Range;
use core::ptr::NonNull;
use kernel::{
    bindings::{
        bio,
        block_device,
        bvec_iter, //
    },
    ffi::c_int, //
};

/// What a target keeps with each bio, from [`Target::map`](super::Target::map) until the bio has
/// ended (`per_io_data_size` of `include/linux/device-mapper.h`).
///
/// It begins as its default and is never dropped, so it must not need that.
pub trait PerBio: Default + Send + 'static {
    /// The bio returned from where [`Target::map`](super::Target::map) sent it. Any context,
    /// interrupts included: must not sleep.
    fn returned(&mut self) {}
}

impl PerBio for () {}

/// What is kept in front of each bio (`dm_per_bio_data`).
struct Header<P> {
    /// The bio's part of the target as it was mapped: `bi_sector` counts from the target's start.
    mapped: bvec_iter,
    /// The bio was finished by the target itself.
    finished: bool,
    own: P,
}

/// How much device mapper must keep in front of each bio that has data `P`.
pub(super) const fn header_size<P: PerBio>() -> usize {
    const {
        assert!(!core::mem::needs_drop::<P>());
        // Device mapper keeps it at a multiple of its size before a structure of this alignment.
        assert!(align_of::<Header<P>>() <= 8);
        // It is asked for in a `u32`, and adds to what a bio has itself.
        assert!(size_of::<Header<P>>() <= 1 << 16);
    }
    size_of::<Header<P>>().next_multiple_of(8)
}

/// The header of a bio that has data `P`.
///
/// # Safety
///
/// `raw` must be a clone that device mapper made for a target with data `P`.
#[inline]
unsafe fn header_of<P: PerBio>(raw: NonNull<bio>) -> NonNull<Header<P>> {
    // SAFETY: The target asked for this size in its constructor.
    let header = unsafe { bindings::dm_per_bio_data(raw.as_ptr(), header_size::<P>()) };
    // SAFETY: The header lies in front of the bio, within the same allocation.
    unsafe { NonNull::new_unchecked(header.cast()) }
}

/// What all stages share but the first.
///
/// # Invariants
///
/// `raw` is a live clone that device mapper made for a target with data `P`, and `header` is its
/// header, which is initialised; both are the holder's alone.
struct CloneBio<P: PerBio> {
    raw: NonNull<bio>,
    header: NonNull<Header<P>>,
}

// A bio does not move with the pointer to it, whatever is kept with it.
impl<P: PerBio> Unpin for CloneBio<P> {}

impl<P: PerBio> CloneBio<P> {
    /// # Safety
    ///
    /// `raw` must be a live clone that device mapper made for a target with data `P` and that was a
    /// [`MapBio`] before; it and its header must be the caller's alone.
    #[inline]
    unsafe fn again(raw: NonNull<bio>) -> Self {
        // INVARIANT: By the safety requirements; consuming the `MapBio` initialised all of the
        // header.
        Self {
            raw,
            // SAFETY: By the safety requirements.
            header: unsafe { header_of::<P>(raw) },
        }
    }

    #[inline]
    fn flags(&self) -> u32 {
        // SAFETY: By the type invariant.
        unsafe { (*self.raw.as_ptr()).bi_opf }
    }

    #[inline]
    fn header(&self) -> &Header<P> {
        // SAFETY: By the type invariant.
        unsafe { self.header.as_ref() }
    }

    #[inline]
    fn header_mut(&mut self) -> &mut Header<P> {
        // SAFETY: By the type invariant.
        unsafe { self.header.as_mut() }
    }

    /// # Safety
    ///
    /// `device` must be open until the bio has ended.
    #[inline]
    unsafe fn direct(&mut self, device: NonNull<block_device>, sector: u64) {
        // SAFETY: The bio is ours by the type invariant.
        unsafe { (*self.raw.as_ptr()).bi_iter.bi_sector = sector };
        // SAFETY: As above, and the device is live by the safety requirements.
        unsafe { bindings::bio_set_dev(self.raw.as_ptr(), device.as_ptr()) };
    }

    /// Fails a bio that is being mapped, and that no device had.
    #[cold]
    fn refuse<'a>(mut self) -> Mapped<'a> {
        self.header_mut().own.returned();
        // INVARIANT: The code tells device mapper that the bio is ours.
        OwnedBio { clone: self }.complete(Status::IOERR);
        Mapped {
            code: bindings::DM_MAPIO_SUBMITTED as c_int,
            _map: PhantomData,
        }
    }
}

/// What is known of a bio that was mapped, beside [`flag_methods`].
macro_rules! mapped_methods {
    () => {
        #[inline]
        fn flags(&self) -> u32 {
            self.clone.flags()
        }

        #[inline]
        fn mapped(&self) -> &bvec_iter {
            &self.clone.header().mapped
        }

        /// What the target keeps with the bio.
        #[inline]
        pub fn per_bio(&mut self) -> &mut P {
            &mut self.clone.header_mut().own
        }
    };
}

/// What is known of a bio by its `flags` and by what was `mapped`.
macro_rules! flag_methods {
    () => {
        /// What the bio does, or did.
        #[inline]
        pub fn op(&self) -> Op {
            Op::of(self.flags(), self.mapped().bi_size)
        }

        /// The sectors of the bio, counted from the target's start.
        #[inline]
        pub fn sectors(&self) -> Range<u64> {
            let iter = self.mapped();
            let sectors = u64::from(iter.bi_size >> SECTOR_SHIFT);
            iter.bi_sector..iter.bi_sector.wrapping_add(sectors)
        }

        /// Whether the bio must not wait (`REQ_NOWAIT`).
        #[inline]
        pub fn is_nowait(&self) -> bool {
            self.flags() & bindings::REQ_NOWAIT != 0
        }

        /// Whether the bio is a read-ahead (`REQ_RAHEAD`).
        #[inline]
        pub fn is_readahead(&self) -> bool {
            self.flags() & bindings::REQ_RAHEAD != 0
        }
    };
}

/// A bio that is being mapped.
///
/// # Invariants
///
/// `raw` is a live clone that device mapper made for a target with data `P`, and `header` is the
/// memory of its header, of which only `mapped` is initialised; both are the holder's alone.
/// `devices` are that target's.
pub struct MapBio<'a, P: PerBio> {
    raw: NonNull<bio>,
    header: NonNull<Header<P>>,
    devices: &'a Devices,
    _map: PhantomData<core::cell::Cell<&'a ()>>,
}

/// What became of a [`MapBio`]. Only finishing one makes one of these.
pub struct Mapped<'a> {
    pub(super) code: c_int,
    _map: PhantomData<core::cell::Cell<&'a ()>>,
}

impl<'m, P: PerBio> MapBio<'m, P> {
    /// # Safety
    ///
    /// `raw` must be the bio of a `map` call that is under way, for a target with data `P` that
    /// begins at sector `begin` and has the devices `devices`. The value must not outlive the call.
    #[inline]
    pub(super) unsafe fn new(raw: NonNull<bio>, begin: u64, devices: &'m Devices) -> Self {
        // SAFETY: By the safety requirements.
        let header = unsafe { header_of::<P>(raw) };
        // SAFETY: By the safety requirements.
        let iter = unsafe { &(*raw.as_ptr()).bi_iter };
        let mapped = bvec_iter {
            bi_sector: iter.bi_sector.wrapping_sub(begin),
            ..*iter
        };
        // SAFETY: The header's memory is there and nobody else's by the safety requirements.
        unsafe { (&raw mut (*header.as_ptr()).mapped).write(mapped) };
        // INVARIANT: By the safety requirements, and `mapped` was just initialised.
        Self {
            raw,
            header,
            devices,
            _map: PhantomData,
        }
    }

    #[inline]
    fn flags(&self) -> u32 {
        // SAFETY: By the type invariant.
        unsafe { (*self.raw.as_ptr()).bi_opf }
    }

    flag_methods!();

    #[inline]
    fn mapped(&self) -> &bvec_iter {
        // SAFETY: By the type invariant.
        unsafe { &(*self.header.as_ptr()).mapped }
    }

    /// Which of [`Target::FLUSHES`](super::Target::FLUSHES) copies of a flush this is.
    pub fn flush_number(&self) -> u32 {
        // SAFETY: The bio is a clone of device mapper.
        unsafe { bindings::dm_bio_get_target_bio_nr(self.raw.as_ptr()) }
    }

    /// Takes only the first `sectors` sectors; the rest comes again as a bio of its own.
    ///
    /// Answers whether the bio is now no longer than that: some bios cannot be cut, and none to
    /// nothing.
    #[inline]
    pub fn accept(&mut self, sectors: u64) -> bool {
        let all = u64::from(self.mapped().bi_size >> SECTOR_SHIFT);
        if sectors >= all {
            return true;
        }
        let uncuttable = bindings::REQ_PREFLUSH | bindings::REQ_ATOMIC;
        if sectors == 0 || self.flags() & uncuttable != 0 {
            return false;
        }
        // SAFETY: The bio is being mapped and longer than `sectors`, which is less than a bio's
        // most. It is no copy: of all that has sectors device mapper makes one bio only, since
        // `ctr` sets `num_discard_bios` and `num_write_zeroes_bios` to 1, and
        // `num_secure_erase_bios` is 0. It is not atomic; and no device of a target without zone
        // features is zoned.
        unsafe { bindings::dm_accept_partial_bio(self.raw.as_ptr(), sectors as u32) };
        // SAFETY: By the type invariant.
        unsafe { (*self.header.as_ptr()).mapped.bi_size = (*self.raw.as_ptr()).bi_iter.bi_size };
        true
    }

    /// Writes the rest of the header.
    #[inline]
    fn keep(self, own: P) -> CloneBio<P> {
        let header = self.header.as_ptr();
        // SAFETY: The header's memory is there and nobody else's by the type invariant.
        unsafe { (&raw mut (*header).finished).write(false) };
        // SAFETY: As above.
        unsafe { (&raw mut (*header).own).write(own) };
        // INVARIANT: By that of `MapBio`, and all of the header is initialised.
        CloneBio {
            raw: self.raw,
            header: self.header,
        }
    }

    /// Sends the bio to `sector` of a device that the target opened, and keeps `own` with it.
    ///
    /// With a `device` that the target did not open the bio fails; [`PerBio::returned`] sees `own`
    /// all the same.
    #[inline]
    pub fn remap<'a>(self, device: DeviceId, sector: u64, own: P) -> Mapped<'a>
    where
        Self: 'a,
    {
        let devices = self.devices;
        let mut clone = self.keep(own);
        let Some(device) = devices.device(device) else {
            return clone.refuse();
        };
        // SAFETY: Device mapper destroys the target, which keeps its devices open, after its bios
        // have ended.
        unsafe { clone.direct(device, sector) };
        Mapped {
            code: bindings::DM_MAPIO_REMAPPED as c_int,
            _map: PhantomData,
        }
    }

    /// Ends the bio at once.
    pub fn complete<'a>(self, status: Status) -> Mapped<'a>
    where
        Self: 'a,
    {
        let (owned, mapped) = self.take();
        owned.complete(status);
        mapped
    }

    /// Takes the bio, to be submitted or completed later. What the target keeps with it is the
    /// default.
    pub fn take<'a>(self) -> (OwnedBio<P>, Mapped<'a>)
    where
        Self: 'a,
    {
        let mapped = Mapped {
            code: bindings::DM_MAPIO_SUBMITTED as c_int,
            _map: PhantomData,
        };
        // INVARIANT: The code tells device mapper that the bio is ours.
        let owned = OwnedBio {
            clone: self.keep(P::default()),
        };
        (owned, mapped)
    }
}

/// A bio that a device failed.
///
/// # Invariants
///
/// The bio is that of an `end_io` call that is under way, which has not been answered.
pub struct EndBio<'a, P: PerBio> {
    clone: CloneBio<P>,
    _end: PhantomData<core::cell::Cell<&'a ()>>,
}

/// What became of an [`EndBio`]. Only finishing one makes one of these.
pub struct Ended<'a> {
    pub(super) code: c_int,
    _end: PhantomData<core::cell::Cell<&'a ()>>,
}

impl<P: PerBio> EndBio<'_, P> {
    /// # Safety
    ///
    /// `raw` must be the bio of an `end_io` call that is under way, for a target with data `P`
    /// whose `map` had it. The value must not outlive the call.
    #[inline]
    pub(super) unsafe fn new(raw: NonNull<bio>) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            // SAFETY: As above.
            clone: unsafe { CloneBio::again(raw) },
            _end: PhantomData,
        }
    }

    /// Whether the target finished the bio itself, so that there is nothing left to see.
    #[inline]
    pub(super) fn is_finished(&self) -> bool {
        self.clone.header().finished
    }

    flag_methods!();
    mapped_methods!();

    /// Ends the bio with the status it came with.
    #[inline]
    pub fn done<'a>(self) -> Ended<'a>
    where
        Self: 'a,
    {
        Ended {
            code: bindings::DM_ENDIO_DONE as c_int,
            _end: PhantomData,
        }
    }

    /// Takes the bio, to be submitted again or completed later.
    pub fn take<'a>(self) -> (OwnedBio<P>, Ended<'a>)
    where
        Self: 'a,
    {
        let ended = Ended {
            code: bindings::DM_ENDIO_INCOMPLETE as c_int,
            _end: PhantomData,
        };
        // INVARIANT: The code tells device mapper that the bio is ours.
        let owned = OwnedBio { clone: self.clone };
        (owned, ended)
    }
}

/// A bio that the target took. Dropping it fails it with [`Status::IOERR`].
///
/// # Invariants
///
/// The bio is neither in flight nor finished, and device mapper was told that it is the target's.
pub struct OwnedBio<P: PerBio> {
    clone: CloneBio<P>,
}

// SAFETY: A bio that is not in flight belongs to no thread; what the target keeps with it is
// `Send`.
unsafe impl<P: PerBio> Send for OwnedBio<P> {}

impl<P: PerBio> OwnedBio<P> {
    /// # Safety
    ///
    /// `raw` must come from [`Self::into_raw`], and be given back only once.
    pub(super) unsafe fn from_raw(raw: NonNull<bio>) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            // SAFETY: An `OwnedBio` was mapped, and is its holder's alone.
            clone: unsafe { CloneBio::again(raw) },
        }
    }

    pub(super) fn into_raw(self) -> NonNull<bio> {
        core::mem::ManuallyDrop::new(self).clone.raw
    }

    flag_methods!();
    mapped_methods!();

    /// Has the bio cover its data again, as when it was mapped.
    fn rewind(&mut self) {
        let iter = self.clone.header().mapped;
        // SAFETY: The bio is ours by the type invariant.
        unsafe { (*self.clone.raw.as_ptr()).bi_iter = iter };
    }

    /// Does I/O with the data of `part` of the bio that `bio` finds in `owner`, as
    /// [`BioSet::submit`] does.
    ///
    /// `part` are sectors of the target, within [`Self::sectors`]. A bio that reads can only be
    /// read into, one that writes only be written from, one that discards only discard; anything
    /// else is an I/O error.
    ///
    /// If it is `on_behalf` of the submitter of the bio, its control group pays for it, and may
    /// have to wait; else no control group's limits apply.
    pub fn submit_part<T: Submitter>(
        set: &BioSet,
        (transfer, device, sector): Place<'_>,
        mut owner: Unique<T>,
        part: Range<u64>,
        on_behalf: bool,
        bio: impl FnOnce(&mut T) -> Option<&mut Self>,
    ) {
        let found = bio(&mut owner).and_then(|bio| {
            // SAFETY: The bio is that of `owner`, or was given up for ever, as in
            // `BioSet::submit`; the I/O has `owner` until it has ended.
            let own = unsafe { bio.part(set, transfer, device, part) }.ok()?;
            Some((own, bio.clone.raw))
        });
        match found {
            Some((own, whole)) if on_behalf => {
                // SAFETY: `start` calls it with a bio that may be submitted; `whole` is a clone
                // that device mapper made, and is not finished before the I/O has ended.
                let submit = |raw: NonNull<bio>| unsafe { submit_part(raw, whole) };
                // SAFETY: The bio is of this set and for this device, and its data are as above.
                unsafe { set.start(own, device, sector, owner, submit) };
            }
            // SAFETY: As above.
            Some((own, _)) => unsafe { set.start(own, device, sector, owner, submit_for_all) },
            None => T::ended(owner, Err(Status::IOERR)),
        }
    }

    /// A bio that does `transfer` with the data of a part of this one.
    ///
    /// # Safety
    ///
    /// Until the new bio has ended, or was dropped, nobody may use or end this one.
    unsafe fn part(
        &mut self,
        set: &BioSet,
        transfer: Transfer,
        device: &BlockDevice,
        part: Range<u64>,
    ) -> Result<OwnBio, Status> {
        let fits = matches!(
            (self.op(), transfer),
            (Op::Read, Transfer::Read)
                | (Op::Write, Transfer::Write | Transfer::WriteThrough)
                | (Op::Discard, Transfer::Discard)
        );
        let all = self.sectors();
        if !fits || part.start < all.start || part.end > all.end || part.start >= part.end {
            return Err(Status::IOERR);
        }
        self.rewind();
        let bytes = |at: u64| ((at - all.start) << SECTOR_SHIFT) as u32;
        let range = bytes(part.start)..bytes(part.end);
        // SAFETY: The bio is ours and was just rewound, so its iterator covers all of its data, and
        // `range` lies within them. By the safety requirements it stays so, and its data, which
        // belong to whoever has the bio, are used by nobody else.
        unsafe { set.part(transfer, device, self.clone.raw, range) }
    }

    /// Ends the bio.
    pub fn complete(self, status: Status) {
        let mut this = core::mem::ManuallyDrop::new(self);
        this.clone.header_mut().finished = true;
        let raw = this.clone.raw.as_ptr();
        // If a device had the bio, its queue has ended it once already and must not see it again,
        // perhaps when its policies are gone. That it went through those is said by flags only.
        for flag in [
            kernel::bindings::BIO_QOS_THROTTLED,
            kernel::bindings::BIO_QOS_MERGED,
        ] {
            // SAFETY: The bio is ours by the type invariant.
            unsafe { bindings::bio_clear_flag(raw, flag) };
        }
        // SAFETY: As above.
        unsafe { (*raw).bi_status = status.0 };
        // SAFETY: As above; this gives it up. Device mapper set its `bi_end_io`.
        unsafe { kernel::bindings::bio_endio(raw) };
    }
}

impl<P: PerBio> Drop for OwnedBio<P> {
    fn drop(&mut self) {
        // SAFETY: `self` is not used again, so that the bio is given up once.
        let bio = unsafe { Self::from_raw(self.clone.raw) };
        bio.complete(Status::IOERR);
    }
}

/// Submits `part` on behalf of `whole`: device mapper accounts that, to the control group that
/// submitted it.
///
/// # Safety
///
/// `part` must be a bio that may be submitted, and `whole` a clone that device mapper made and that
/// is not finished.
unsafe fn submit_part(part: NonNull<bio>, whole: NonNull<bio>) {
    // SAFETY: By the safety requirements.
    unsafe { bindings::dm_submit_bio_remap(whole.as_ptr(), part.as_ptr()) };
}
