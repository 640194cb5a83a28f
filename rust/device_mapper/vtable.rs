// SPDX-License-Identifier: GPL-2.0

//! The C side of a target: what device mapper calls, and what it keeps.

use super::{
    args::Args,
    bios::{
        header_size,
        EndBio,
        MapBio,
        PerBio, //
    },
    constructor::{
        Constructor,
        NewError, //
    },
    devices::{
        DeviceVisitor,
        Devices, //
    },
    events::TableEvents,
    limits::QueueLimits,
    target::{
        StatusKind,
        Target, //
    },
    target_type::TargetType, //
};
use crate::bindings::{
    self,
    dm_target,
    target_type, //
};
use crate::bio::Status;
use crate::text::Text;
use core::marker::PhantomData;
use core::ptr::NonNull;
use kernel::{
    bindings::{
        bio,
        blk_status_t,
        block_device,
        queue_limits, //
    },
    ffi::{
        c_char,
        c_int,
        c_uint,
        c_ulong,
        c_void, //
    },
    prelude::*,
    sync::rcu, //
};

/// What `dm_target::private` points to. The fields are dropped in this order.
///
/// # Invariants
///
/// `events` are those of the target's table, and are revoked before this is dropped; `devices` are
/// those of the target.
struct Private<T> {
    target: Pin<KBox<T>>,
    events: TableEvents,
    devices: Devices,
}

/// Whether the device of a table is being removed, so that no other table follows. May sleep.
///
/// # Safety
///
/// `table` must be live.
unsafe fn is_device_removed(table: *mut bindings::dm_table) -> bool {
    // SAFETY: By the safety requirements; a table's device lives longer.
    let device = unsafe { bindings::dm_table_get_md(table) };
    // SAFETY: As above. A device can be held until it is being removed.
    let is_held = unsafe { bindings::dm_hold(device) } == 0;
    if is_held {
        // SAFETY: It was held just now.
        unsafe { bindings::dm_put(device) };
    }
    !is_held
}

/// The functions that device mapper calls for a `T`.
pub(super) struct Vtable<T>(PhantomData<T>);

impl<T: Target> Vtable<T> {
    pub(super) fn target_type(module: &'static ThisModule) -> target_type {
        // SAFETY: All fields are integers, pointers, lists or optional functions, for all of which
        // zero is a value.
        let mut this: target_type = unsafe { core::mem::zeroed() };
        this.name = T::NAME.as_char_ptr();
        this.version = T::VERSION;
        this.module = module.as_ptr();
        if T::NOWAIT {
            this.features |= u64::from(bindings::DM_TARGET_NOWAIT);
        }
        this.ctr = Some(Self::ctr);
        this.dtr = Some(Self::dtr);
        this.map = Some(Self::map);
        this.end_io = Some(Self::end_io);
        this.presuspend = Some(Self::presuspend);
        this.presuspend_undo = Some(Self::presuspend_undo);
        this.postsuspend = Some(Self::postsuspend);
        this.preresume = Some(Self::preresume);
        this.resume = Some(Self::resume);
        this.status = Some(Self::status);
        this.message = Some(Self::message);
        this.iterate_devices = Some(Self::iterate_devices);
        this.io_hints = Some(Self::io_hints);
        if T::HAS_PREPARE_IOCTL {
            this.prepare_ioctl = Some(Self::prepare_ioctl);
        }
        this
    }

    /// The data of a constructed target.
    ///
    /// # Safety
    ///
    /// `raw` must be a target whose constructor succeeded and whose destructor did not run, for as
    /// long as the caller uses the reference.
    #[inline]
    unsafe fn private<'a>(raw: *mut dm_target) -> &'a Private<T> {
        // SAFETY: `ctr` put a leaked `Private<T>` there, which is only ever shared until `dtr`.
        unsafe { &*(*raw).private.cast::<Private<T>>() }
    }

    fn construct(raw: NonNull<dm_target>, args: Args<'_>) -> Result<KBox<Private<T>>, NewError> {
        const MEMORY: &CStr = c"out of memory";
        // SAFETY: In the constructor the table is set; it lives until after the destructor, or
        // until after the constructor failed, and is revoked before either ends.
        let table = unsafe { NonNull::new((*raw.as_ptr()).table) };
        let table = table.ok_or(NewError::new(c"target without a table", EINVAL))?;
        // SAFETY: As above.
        let events = unsafe { TableEvents::new(table) }.map_err(|e| NewError::new(MEMORY, e))?;
        let mut devices = Devices::new(raw);
        // SAFETY: In the constructor the type is set. It is in a `TargetType<T>`, since only that
        // has this function be called.
        let shared = unsafe { TargetType::<T>::shared((*raw.as_ptr()).type_) };
        let target = {
            // SAFETY: This is called by `ctr` for its target.
            let mut constructor = unsafe { Constructor::new(raw, &mut devices, &events, shared) };
            T::new(&mut constructor, args)
        };
        let made = target.and_then(|target| {
            // INVARIANT: `dtr` revokes the events, or the end of this function if the box cannot be
            // had.
            let private = Private {
                target,
                events: events.clone(),
                devices,
            };
            Ok(KBox::new(private, GFP_KERNEL)?)
        });
        if made.is_err() {
            events.revoke();
        }
        made
    }

    /// # Safety
    ///
    /// `raw` is valid, with `table`, `type`, `begin` and `len` set, and exclusive to the call;
    /// `words` are `count` NUL-terminated strings.
    unsafe extern "C" fn ctr(raw: *mut dm_target, count: c_uint, words: *mut *mut c_char) -> c_int {
        let Some(raw) = NonNull::new(raw) else {
            return EINVAL.to_errno();
        };
        // SAFETY: By the safety requirements, and the words are not used after this call.
        let args = unsafe { Args::from_raw(count, words) };
        let private = match Self::construct(raw, args) {
            Ok(private) => private,
            Err(NewError { reason, error }) => {
                // SAFETY: By the safety requirements. The text is static and only ever read.
                unsafe { (*raw.as_ptr()).error = reason.as_char_ptr().cast_mut() };
                return error.to_errno();
            }
        };
        // SAFETY: By the safety requirements.
        let fields = unsafe { &mut *raw.as_ptr() };
        fields.num_flush_bios = T::FLUSHES;
        fields.num_discard_bios = 1;
        fields.num_write_zeroes_bios = 1;
        fields.per_io_data_size = header_size::<T::PerBio>() as u32;
        fields.set_accounts_remapped_io(true);
        fields.private = KBox::into_raw(private).cast();
        0
    }

    /// # Safety
    ///
    /// `raw` is a target whose constructor succeeded; no other call for it is under way or follows,
    /// and no bio of it is in flight.
    unsafe extern "C" fn dtr(raw: *mut dm_target) {
        // SAFETY: `ctr` leaked this box, and by the safety requirements nobody uses it any more.
        let private = unsafe { KBox::from_raw((*raw).private.cast::<Private<T>>()) };
        // SAFETY: A target's table lives until after its destructor.
        if unsafe { is_device_removed((*raw).table) } {
            private.target.removed();
        }
        private.events.revoke();
        drop(private);
    }

    /// # Safety
    ///
    /// `raw` is a constructed target, and `bio` a clone made for it that is to be mapped.
    unsafe extern "C" fn map(raw: *mut dm_target, bio: *mut bio) -> c_int {
        // SAFETY: By the safety requirements.
        let private = unsafe { Self::private(raw) };
        // SAFETY: A bio is not null.
        let bio = unsafe { NonNull::new_unchecked(bio) };
        // SAFETY: By the safety requirements; `begin` does not change after construction.
        let begin = unsafe { (*raw).begin };
        // SAFETY: This is the `map` call, and these are the target's devices.
        let bio = unsafe { MapBio::new(bio, begin, &private.devices) };
        private.target.map(bio).code
    }

    /// # Safety
    ///
    /// `raw` is a constructed target, `bio` a clone that `map` was called for, and `status` points
    /// to the status that it is to end with.
    unsafe extern "C" fn end_io(
        raw: *mut dm_target,
        bio: *mut bio,
        status: *mut blk_status_t,
    ) -> c_int {
        // SAFETY: A bio is not null.
        let bio = unsafe { NonNull::new_unchecked(bio) };
        // SAFETY: By the safety requirements.
        let status = Status(unsafe { *status });
        if status != Status::OK {
            // SAFETY: As above.
            return unsafe { Self::end_failed(raw, bio, status) };
        }
        // SAFETY: This is the `end_io` call, and `map` had the bio.
        let mut bio = unsafe { EndBio::<T::PerBio>::new(bio) };
        if !bio.is_finished() {
            bio.per_bio().returned();
        }
        bio.done().code
    }

    /// The same for a bio that failed. Apart, so that the usual way saves no registers for it.
    ///
    /// # Safety
    ///
    /// As for [`Self::end_io`].
    #[inline(never)]
    unsafe fn end_failed(raw: *mut dm_target, bio: NonNull<bio>, status: Status) -> c_int {
        // SAFETY: This is the `end_io` call, and `map` had the bio.
        let mut bio = unsafe { EndBio::<T::PerBio>::new(bio) };
        if bio.is_finished() {
            return bio.done().code;
        }
        bio.per_bio().returned();
        // The bio keeps the target until the target has taken it: from then on another thread may
        // end it, and the table may be replaced. Device mapper waits for RCU sections before it
        // destroys a table (`dm_sync_table`).
        let _guard = rcu::read_lock();
        // SAFETY: By the safety requirements, and by the section once the bio was taken.
        let target = unsafe { &Self::private(raw).target };
        target.failed(bio, status).code
    }

    /// # Safety
    ///
    /// `raw` is a constructed target.
    unsafe extern "C" fn presuspend(raw: *mut dm_target) {
        // SAFETY: By the safety requirements.
        unsafe { Self::private(raw) }.target.presuspend();
    }

    /// # Safety
    ///
    /// `raw` is a constructed target.
    unsafe extern "C" fn presuspend_undo(raw: *mut dm_target) {
        // SAFETY: By the safety requirements.
        unsafe { Self::private(raw) }.target.presuspend_undo();
    }

    /// # Safety
    ///
    /// `raw` is a constructed target.
    unsafe extern "C" fn postsuspend(raw: *mut dm_target) {
        // SAFETY: By the safety requirements.
        unsafe { Self::private(raw) }.target.postsuspend();
    }

    /// # Safety
    ///
    /// `raw` is a constructed target.
    unsafe extern "C" fn preresume(raw: *mut dm_target) -> c_int {
        // SAFETY: By the safety requirements.
        match unsafe { Self::private(raw) }.target.preresume() {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// `raw` is a constructed target.
    unsafe extern "C" fn resume(raw: *mut dm_target) {
        // SAFETY: By the safety requirements.
        unsafe { Self::private(raw) }.target.resume();
    }

    /// # Safety
    ///
    /// `raw` is a constructed target, and `result` points to `size` bytes for the call's use.
    unsafe extern "C" fn status(
        raw: *mut dm_target,
        kind: bindings::status_type_t,
        _flags: c_uint,
        result: *mut c_char,
        size: c_uint,
    ) {
        // SAFETY: By the safety requirements.
        let mut out = unsafe { Text::from_raw(result, size as usize) };
        let kind = match kind {
            bindings::status_type_t_STATUSTYPE_INFO => StatusKind::Info,
            bindings::status_type_t_STATUSTYPE_TABLE => StatusKind::Table,
            bindings::status_type_t_STATUSTYPE_IMA => StatusKind::Ima,
            _ => return,
        };
        // SAFETY: By the safety requirements.
        unsafe { Self::private(raw) }.target.status(kind, &mut out);
    }

    /// # Safety
    ///
    /// `raw` is a constructed target, `words` are `count` NUL-terminated strings, and `result`
    /// points to `size` bytes for the call's use.
    unsafe extern "C" fn message(
        raw: *mut dm_target,
        count: c_uint,
        words: *mut *mut c_char,
        result: *mut c_char,
        size: c_uint,
    ) -> c_int {
        /// Tells device mapper that there is an answer.
        const ANSWERED: c_int = 1;
        // SAFETY: By the safety requirements, and the words are not used after this call.
        let args = unsafe { Args::from_raw(count, words) };
        // SAFETY: By the safety requirements.
        let mut out = unsafe { Text::from_raw(result, size as usize) };
        // SAFETY: By the safety requirements.
        match unsafe { Self::private(raw) }.target.message(args, &mut out) {
            Ok(()) => ANSWERED,
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// `raw` is a constructed target, and `callback` may be called with it and `data`.
    unsafe extern "C" fn iterate_devices(
        raw: *mut dm_target,
        callback: bindings::iterate_devices_callout_fn,
        data: *mut c_void,
    ) -> c_int {
        let (Some(callback), Some(target)) = (callback, NonNull::new(raw)) else {
            return 0;
        };
        // SAFETY: By the safety requirements.
        let private = unsafe { Self::private(raw) };
        // SAFETY: By the safety requirements, and these are the target's devices.
        let mut visitor = unsafe { DeviceVisitor::new(target, &private.devices, callback, data) };
        private.target.iterate_devices(&mut visitor);
        visitor.answer()
    }

    /// # Safety
    ///
    /// `raw` is a constructed target, and `limits` is exclusive to the call.
    unsafe extern "C" fn io_hints(raw: *mut dm_target, limits: *mut queue_limits) {
        // SAFETY: By the safety requirements.
        let limits = unsafe { QueueLimits::from_raw(limits) };
        // SAFETY: By the safety requirements.
        unsafe { Self::private(raw) }.target.io_hints(limits);
    }

    /// # Safety
    ///
    /// `raw` is a constructed target, and `device` may be written.
    unsafe extern "C" fn prepare_ioctl(
        raw: *mut dm_target,
        device: *mut *mut block_device,
        _command: c_uint,
        _argument: c_ulong,
        _forward: *mut bool,
    ) -> c_int {
        /// The device is not the whole of the target: a caller needs privilege.
        const PART: c_int = 1;
        // SAFETY: By the safety requirements.
        let private = unsafe { Self::private(raw) };
        let id = private.target.prepare_ioctl();
        let Some(found) = id.and_then(|id| private.devices.device(id)) else {
            return ENOTTY.to_errno();
        };
        // SAFETY: By the safety requirements.
        unsafe { *device = found.as_ptr() };
        PART
    }
}
