// SPDX-License-Identifier: GPL-2.0

//! What a bio says, and I/O of our own.
//!
//! C headers: [`include/linux/bio.h`](srctree/include/linux/bio.h),
//! [`include/linux/blk_types.h`](srctree/include/linux/blk_types.h).

use crate::bindings;
use crate::block_device::BlockDevice;
use core::ops::Range;
use core::pin::Pin;
use core::ptr::NonNull;
use kernel::{
    alloc::Flags,
    bindings::{
        bio,
        blk_opf_t,
        blk_status_t, //
    },
    error::to_result,
    page::{
        Page,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Completion, //
    },
    types::Opaque, //
};

pub(crate) const SECTOR_SHIFT: u32 = 9;

/// How I/O ended (`blk_status_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub(crate) blk_status_t);

impl Status {
    /// It went well.
    pub const OK: Self = Self(bindings::BLK_STS_OK);
    /// The device does not know the operation.
    pub const NOTSUPP: Self = Self(bindings::BLK_STS_NOTSUPP);
    /// The device took too long.
    pub const TIMEOUT: Self = Self(bindings::BLK_STS_TIMEOUT);
    /// There is no space left.
    pub const NOSPC: Self = Self(bindings::BLK_STS_NOSPC);
    /// The path to the device failed.
    pub const TRANSPORT: Self = Self(bindings::BLK_STS_TRANSPORT);
    /// The device failed.
    pub const TARGET: Self = Self(bindings::BLK_STS_TARGET);
    /// Somebody else has reserved the device.
    pub const RESV_CONFLICT: Self = Self(bindings::BLK_STS_RESV_CONFLICT);
    /// The medium could not hold or give back the data.
    pub const MEDIUM: Self = Self(bindings::BLK_STS_MEDIUM);
    /// The protection information was wrong.
    pub const PROTECTION: Self = Self(bindings::BLK_STS_PROTECTION);
    /// Something ran out.
    pub const RESOURCE: Self = Self(bindings::BLK_STS_RESOURCE);
    /// It failed, and the driver does not say why.
    pub const IOERR: Self = Self(bindings::BLK_STS_IOERR);
    /// Device mapper shall keep it until the device is resumed.
    pub const DM_REQUEUE: Self = Self(bindings::BLK_STS_DM_REQUEUE);
    /// It would have to wait, and must not.
    pub const AGAIN: Self = Self(bindings::BLK_STS_AGAIN);
    /// Something of the device ran out.
    pub const DEV_RESOURCE: Self = Self(bindings::BLK_STS_DEV_RESOURCE);
    /// Too many zones are open.
    pub const ZONE_OPEN_RESOURCE: Self = Self(bindings::BLK_STS_ZONE_OPEN_RESOURCE);
    /// Too many zones are active.
    pub const ZONE_ACTIVE_RESOURCE: Self = Self(bindings::BLK_STS_ZONE_ACTIVE_RESOURCE);
    /// The device is offline.
    pub const OFFLINE: Self = Self(bindings::BLK_STS_OFFLINE);
    /// It took longer than it was allowed to.
    pub const DURATION_LIMIT: Self = Self(bindings::BLK_STS_DURATION_LIMIT);
    /// The request makes no sense to the device.
    pub const INVAL: Self = Self(bindings::BLK_STS_INVAL);

    /// `Ok` for [`Self::OK`], else the status as an error.
    pub fn to_result(self) -> Result<(), Self> {
        if self == Self::OK {
            Ok(())
        } else {
            Err(self)
        }
    }
}

/// What a bio does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `REQ_OP_READ`.
    Read,
    /// `REQ_OP_WRITE` with data.
    Write,
    /// A flush without data.
    Flush,
    /// `REQ_OP_DISCARD`.
    Discard,
    /// `REQ_OP_WRITE_ZEROES`.
    WriteZeroes,
    /// Any other operation.
    Other,
}

impl Op {
    #[inline]
    pub(crate) fn of(opf: blk_opf_t, bytes: u32) -> Self {
        match opf & bindings::REQ_OP_MASK {
            kernel::bindings::req_op_REQ_OP_READ => Self::Read,
            kernel::bindings::req_op_REQ_OP_WRITE if bytes == 0 => Self::Flush,
            kernel::bindings::req_op_REQ_OP_WRITE => Self::Write,
            op => Self::of_rare(op),
        }
    }

    /// What is neither a read nor a write. Apart, so that these need no table of jumps.
    #[inline(never)]
    fn of_rare(op: blk_opf_t) -> Self {
        match op {
            kernel::bindings::req_op_REQ_OP_FLUSH => Self::Flush,
            kernel::bindings::req_op_REQ_OP_DISCARD => Self::Discard,
            kernel::bindings::req_op_REQ_OP_WRITE_ZEROES => Self::WriteZeroes,
            _ => Self::Other,
        }
    }
}

/// What I/O of our own does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// Reads.
    Read,
    /// Reads when the device has nothing else to do, where its scheduler knows priorities.
    IdleRead,
    /// Writes.
    Write,
    /// Writes through to the medium (`REQ_FUA`).
    WriteThrough,
    /// Discards.
    Discard,
    /// Makes all that was written durable (`REQ_PREFLUSH`); has no data.
    Flush,
}

impl Transfer {
    /// The flags of a bio that another takes over which does a part of it: what the submitter asks
    /// for, but not how the block layer or a driver may give up, wait, or poll.
    const INHERITED: blk_opf_t = bindings::REQ_SYNC
        | bindings::REQ_META
        | bindings::REQ_PRIO
        | bindings::REQ_IDLE
        | bindings::REQ_FUA
        | bindings::REQ_SWAP;

    /// How a bio with the flags `whole` is done in part.
    pub(crate) fn opf_of_part(self, whole: blk_opf_t) -> blk_opf_t {
        self.opf() | (whole & Self::INHERITED)
    }

    fn opf(self) -> blk_opf_t {
        match self {
            Self::Read => kernel::bindings::req_op_REQ_OP_READ | bindings::REQ_SYNC,
            Self::IdleRead => kernel::bindings::req_op_REQ_OP_READ,
            Self::Write => kernel::bindings::req_op_REQ_OP_WRITE | bindings::REQ_SYNC,
            Self::WriteThrough => {
                kernel::bindings::req_op_REQ_OP_WRITE | bindings::REQ_SYNC | bindings::REQ_FUA
            }
            Self::Discard => kernel::bindings::req_op_REQ_OP_DISCARD | bindings::REQ_SYNC,
            Self::Flush => {
                kernel::bindings::req_op_REQ_OP_WRITE | bindings::REQ_SYNC | bindings::REQ_PREFLUSH
            }
        }
    }
}

/// Pages for the data of I/O of our own.
///
/// # Invariants
///
/// `pages` holds at least one page, and no more than a bio can have vectors.
pub struct Buffer {
    pages: KVec<Page>,
}

impl Buffer {
    /// The most bytes of one.
    pub const MOST: usize = kernel::bindings::BIO_MAX_VECS as usize * PAGE_SIZE;

    /// Allocates at least `bytes` bytes of zeroes. May sleep.
    pub fn zeroed(bytes: usize) -> Result<Self> {
        Self::with_flags(bytes, GFP_KERNEL)
    }

    /// The same with other flags; sleeps if they allow it.
    pub fn with_flags(bytes: usize, flags: Flags) -> Result<Self> {
        let count = bytes.div_ceil(PAGE_SIZE).max(1);
        if count > kernel::bindings::BIO_MAX_VECS as usize {
            return Err(EINVAL);
        }
        let mut pages = KVec::with_capacity(count, flags)?;
        for _ in 0..count {
            pages.push(Page::alloc_page(flags | __GFP_ZERO)?, flags)?;
        }
        // INVARIANT: `count` pages.
        Ok(Self { pages })
    }

    /// Its length in bytes.
    pub fn bytes(&self) -> usize {
        self.pages.len() * PAGE_SIZE
    }

    /// Whether both hold the same bytes in `range`.
    pub fn same(&mut self, other: &mut Self, range: Range<usize>) -> bool {
        range.end <= self.bytes().min(other.bytes())
            && range.into_iter().step_by(512).all(|at| {
                let (mut a, mut b) = ([0u8; 512], [0u8; 512]);
                self.read(at, &mut a) && other.read(at, &mut b) && a == b
            })
    }

    /// Copies bytes from `at` on to `to`; whether there were as many. They must lie within one
    /// page.
    pub fn read(&mut self, at: usize, to: &mut [u8]) -> bool {
        let Some(page) = self.pages.get(at / PAGE_SIZE) else {
            return false;
        };
        // SAFETY: `to` is valid for writes of its length; the page is written by I/O only, and all
        // I/O on a buffer borrows it exclusively, as we do.
        unsafe { page.read_raw(to.as_mut_ptr(), at % PAGE_SIZE, to.len()) }.is_ok()
    }

    /// Copies `from` to the bytes from `at` on; whether there is room. They must lie within one
    /// page.
    pub fn write(&mut self, at: usize, from: &[u8]) -> bool {
        let Some(page) = self.pages.get(at / PAGE_SIZE) else {
            return false;
        };
        // SAFETY: `from` is valid for reads of its length; all I/O on a buffer borrows it
        // exclusively, as we do, so nobody else reads or writes the page.
        unsafe { page.write_raw(from.as_ptr(), at % PAGE_SIZE, from.len()) }.is_ok()
    }
}

/// Where bios of our own come from, with a reserve so that getting one never fails.
///
/// Dropping it sleeps until the I/O that was submitted with it has ended. I/O on behalf of control
/// groups, which may have to wait for their limits, is to come from another set than that of the
/// system.
///
/// # Examples
///
/// ```ignore
/// let set = KBox::pin_init(BioSet::new(1), GFP_KERNEL)?;
/// let mut buffer = Buffer::zeroed(4096)?;
/// set.transfer(Transfer::Read, &device, 0, &mut buffer, 0..4096)?;
/// ```
///
/// # Invariants
///
/// - `set` is an initialised `bio_set`, with vectors for [`Buffer`]s if `has_vectors`.
/// - `users` is how much I/O was entered and not left, and one more until the set is dropped.
#[pin_data(PinnedDrop)]
pub struct BioSet {
    #[pin]
    set: Opaque<kernel::bindings::bio_set>,
    has_vectors: bool,
    users: Atomic<usize>,
    #[pin]
    idle: Completion,
}

// SAFETY: A bio set belongs to no thread.
unsafe impl Send for BioSet {}
// SAFETY: Bios may be allocated from several threads at once.
unsafe impl Sync for BioSet {}

impl BioSet {
    /// Makes a set with `reserve` bios put aside, at least one: so many can be in flight whatever
    /// happens. Sleeps.
    pub fn new(reserve: u32) -> impl PinInit<Self, Error> {
        Self::with_flags(reserve, kernel::bindings::BIOSET_NEED_BVECS)
    }

    /// The same for parts of other bios only, whose data they share: all other I/O fails.
    pub fn for_parts(reserve: u32) -> impl PinInit<Self, Error> {
        Self::with_flags(reserve, 0)
    }

    fn with_flags(reserve: u32, flags: u32) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            set <- Opaque::try_ffi_init(|slot: *mut kernel::bindings::bio_set| {
                // SAFETY: `slot` is memory for a `bio_set`, all zero as `bioset_init` wants it.
                unsafe { slot.write_bytes(0, 1) };
                // SAFETY: `slot` is pinned and freed by `bioset_exit` in `drop`.
                to_result(unsafe {
                    kernel::bindings::bioset_init(
                        slot,
                        reserve.max(1),
                        0,
                        flags as i32,
                    )
                })
            }),
            has_vectors: flags & kernel::bindings::BIOSET_NEED_BVECS != 0,
            users: Atomic::new(1),
            idle <- Completion::new(),
        })
    }

    /// I/O begins that nobody waits for, and that [`Self::leave`] ends.
    pub(crate) fn enter(&self) {
        self.users.fetch_add(1, Relaxed);
    }

    /// The I/O has ended. Any context but NMI.
    ///
    /// # Safety
    ///
    /// `this` is a set that was entered for that I/O, which is not left twice.
    pub(crate) unsafe fn leave(this: NonNull<Self>) {
        // SAFETY: The drop of the set waits until it was left.
        let this = unsafe { this.as_ref() };
        if this.users.fetch_sub(1, Full) == 1 {
            this.idle.complete_all();
        }
    }

    /// Reads or writes `range` of `buffer` at `sector` of `device`, and waits for it.
    ///
    /// `range` is in bytes, in whole 512-byte sectors. The control group of the caller pays. Sleeps;
    /// must not be called from `map`, nor from an interrupt. Allocates with `GFP_NOIO` from the
    /// reserve.
    pub fn transfer(
        &self,
        transfer: Transfer,
        device: &BlockDevice,
        sector: u64,
        buffer: &mut Buffer,
        range: Range<usize>,
    ) -> Result<(), Status> {
        // SAFETY: It is waited for, and `buffer` is borrowed exclusively until then.
        let own = unsafe { self.with_buffer(transfer, device, buffer, range)? };
        own.submit_and_wait(sector)
    }

    /// A bio with a part of a buffer, in bytes and whole sectors.
    ///
    /// # Safety
    ///
    /// The bio must have ended, or be dropped, before anybody else uses the buffer.
    pub(crate) unsafe fn with_buffer(
        &self,
        transfer: Transfer,
        device: &BlockDevice,
        buffer: &mut Buffer,
        range: Range<usize>,
    ) -> Result<OwnBio, Status> {
        let with_data = !matches!(transfer, Transfer::Discard | Transfer::Flush);
        let in_sectors = (range.start | range.end) % (1 << SECTOR_SHIFT) == 0;
        let in_buffer = range.start < range.end && range.end <= buffer.bytes();
        if !with_data || !in_sectors || !in_buffer {
            return Err(Status::IOERR);
        }
        let mut own = self.allocate(device, transfer, buffer.pages.len() as u16)?;
        let mut at = range.start;
        while at < range.end {
            let within = at % PAGE_SIZE;
            let bytes = (PAGE_SIZE - within).min(range.end - at);
            let page = buffer.pages.get(at / PAGE_SIZE).ok_or(Status::IOERR)?;
            // SAFETY: The page is one of the buffer, which nobody else uses by the safety
            // requirements.
            unsafe { own.add_page(page.as_ptr(), bytes, within)? };
            at += bytes;
        }
        Ok(own)
    }

    /// A bio that writes zeroes.
    pub(crate) fn with_zeroes(
        &self,
        transfer: Transfer,
        device: &BlockDevice,
        bytes: usize,
    ) -> Result<OwnBio, Status> {
        let is_write = matches!(transfer, Transfer::Write | Transfer::WriteThrough);
        if !is_write || bytes == 0 || bytes > Buffer::MOST || bytes % (1 << SECTOR_SHIFT) != 0 {
            return Err(Status::IOERR);
        }
        let mut own = self.allocate(device, transfer, bytes.div_ceil(PAGE_SIZE) as u16)?;
        let mut left = bytes;
        while left > 0 {
            let part = left.min(PAGE_SIZE);
            // SAFETY: The kernel's page of zeroes is always there, and is only read.
            unsafe { own.add_page(bindings::zero_page(), part, 0)? };
            left -= part;
        }
        Ok(own)
    }

    /// Makes durable all that was written to `device`, and waits. Sleeps, as [`Self::transfer`]
    /// does.
    pub fn flush(&self, device: &BlockDevice) -> Result<(), Status> {
        self.allocate(device, Transfer::Flush, 0)?
            .submit_and_wait(0)
    }

    /// A bio that does `transfer` on `device` with `range` of the data of `source`, which has no
    /// integrity data: the target does not pass any on.
    ///
    /// # Safety
    ///
    /// `source` must be a bio whose `bi_iter` covers its data, and stay as it is until the new one
    /// is dropped; `range`, in bytes, must lie within these data. If `transfer` writes to memory,
    /// nothing else may access them.
    pub(crate) unsafe fn part(
        &self,
        transfer: Transfer,
        device: &BlockDevice,
        source: NonNull<bio>,
        range: Range<u32>,
    ) -> Result<OwnBio, Status> {
        // A clone for the device that `source` went to would count as remapped from a partition to
        // its disk already. SAFETY: `source` is valid and outlives the clone by the safety
        // requirements; with a reserve and a mask that may wait, allocation does not fail.
        let clone = unsafe {
            kernel::bindings::bio_alloc_clone(
                core::ptr::null_mut(),
                source.as_ptr(),
                bindings::GFP_NOIO_FLAGS,
                self.set.get(),
            )
        };
        // INVARIANT: Just allocated; the device is set below.
        let own = OwnBio(NonNull::new(clone).ok_or(Status::IOERR)?);
        // SAFETY: The clone is ours.
        let opf = unsafe { &mut (*clone).bi_opf };
        *opf = transfer.opf_of_part(*opf);
        // SAFETY: The clone is ours, and the device is live.
        unsafe { bindings::bio_set_dev(clone, device.as_ptr()) };
        // SAFETY: The clone is ours, and `range` lies within its data.
        unsafe { bindings::bio_advance(clone, range.start) };
        // SAFETY: The clone is ours; shortening it keeps it within its data.
        unsafe { (*clone).bi_iter.bi_size = range.end - range.start };
        Ok(own)
    }

    /// A bio with room for so many vectors, if the set has some.
    pub(crate) fn allocate(
        &self,
        device: &BlockDevice,
        transfer: Transfer,
        vectors: u16,
    ) -> Result<OwnBio, Status> {
        if vectors > 0 && !self.has_vectors {
            return Err(Status::IOERR);
        }
        // SAFETY: The set is initialised by the type invariant, and the device is live.
        let own = unsafe {
            kernel::bindings::bio_alloc_bioset(
                device.as_ptr(),
                vectors,
                transfer.opf(),
                bindings::GFP_NOIO_FLAGS,
                self.set.get(),
            )
        };
        // SAFETY: From a set with a reserve, with vectors where some are asked for, and with a mask
        // that may wait, the allocation does not fail (see `bio_alloc_bioset`).
        let own = unsafe { NonNull::new_unchecked(own) };
        if transfer == Transfer::IdleRead {
            // SAFETY: The bio was just allocated.
            unsafe { (*own.as_ptr()).bi_ioprio = bindings::IOPRIO_IDLE };
        }
        // INVARIANT: Just allocated for this device.
        Ok(OwnBio(own))
    }
}

#[pinned_drop]
impl PinnedDrop for BioSet {
    fn drop(self: Pin<&mut Self>) {
        if self.users.fetch_sub(1, Full) != 1 {
            self.idle.wait_for_completion();
        }
        // SAFETY: The set is initialised by the type invariant, and no bio of it is left: what was
        // submitted has left, and all others are put before the call that borrows the set returns.
        unsafe { kernel::bindings::bioset_exit(self.set.get()) };
    }
}

/// A bio of our own.
///
/// # Invariants
///
/// The bio is owned by this value, not in flight, and has a device.
pub(crate) struct OwnBio(NonNull<bio>);

impl OwnBio {
    /// Adds a part of a page to the data.
    ///
    /// # Safety
    ///
    /// The page must outlive the I/O. Nobody else may write to it meanwhile, nor read it if the I/O
    /// writes to it.
    unsafe fn add_page(
        &mut self,
        page: *mut kernel::bindings::page,
        bytes: usize,
        within: usize,
    ) -> Result<(), Status> {
        // SAFETY: The bio is ours by the type invariant; the page is there by the safety
        // requirements.
        let added = unsafe {
            kernel::bindings::bio_add_page(self.0.as_ptr(), page, bytes as u32, within as u32)
        };
        match added as usize == bytes {
            true => Ok(()),
            false => Err(Status::IOERR),
        }
    }

    /// Gives up the bio to whoever puts it.
    pub(crate) fn into_raw(self) -> NonNull<bio> {
        core::mem::ManuallyDrop::new(self).0
    }

    pub(crate) fn at(&mut self, sector: u64) {
        // SAFETY: The bio is ours by the type invariant.
        unsafe { (*self.0.as_ptr()).bi_iter.bi_sector = sector };
    }

    fn submit_and_wait(mut self, sector: u64) -> Result<(), Status> {
        self.at(sector);
        // SAFETY: The bio is ours by the type invariant; when this returns it is ours again.
        unsafe { kernel::bindings::submit_bio_wait(self.0.as_ptr()) };
        self.status()
    }

    /// How it ended.
    fn status(&self) -> Result<(), Status> {
        // SAFETY: The bio is ours by the type invariant.
        Status(unsafe { (*self.0.as_ptr()).bi_status }).to_result()
    }
}

impl Drop for OwnBio {
    fn drop(&mut self) {
        // SAFETY: The bio is ours by the type invariant, and this is its last use.
        unsafe { kernel::bindings::bio_put(self.0.as_ptr()) };
    }
}
