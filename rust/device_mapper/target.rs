// SPDX-License-Identifier: GPL-2.0

//! What a target does.

use super::{
    args::Args,
    bios::{
        EndBio,
        Ended,
        MapBio,
        Mapped,
        PerBio, //
    },
    constructor::{
        Constructor,
        NewError, //
    },
    devices::{
        DeviceId,
        DeviceVisitor, //
    },
    limits::QueueLimits, //
};
use crate::bio::Status;
use crate::text::Text;
use kernel::prelude::*;

/// What [`Target::status`] is asked for (`status_type_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusKind {
    /// The state at this moment: `dmsetup status`.
    Info,
    /// The arguments that make the same target again: `dmsetup table`.
    Table,
    /// `name=value` pairs for the Integrity Measurement Architecture, ended by a semicolon.
    Ima,
}

/// A device-mapper target: one line of a table.
///
/// All methods but [`Self::new`] take `&self` and may run concurrently.
#[vtable]
pub trait Target: Sized + Send + Sync + 'static {
    /// The name in a table line.
    const NAME: &'static CStr;

    /// Major, minor and patch level of the interface.
    const VERSION: [u32; 3];

    /// How many flushes a flush becomes, told apart by [`MapBio::flush_number`].
    const FLUSHES: u32 = 1;

    /// Whether [`Self::map`] never sleeps for a bio with `REQ_NOWAIT`.
    const NOWAIT: bool = false;

    /// What all targets of the type share; it is given to
    /// [`Registration::new`](super::Registration::new).
    type Shared: Send + Sync + 'static;

    /// What the target keeps with each bio.
    type PerBio: PerBio;

    /// Makes a target from the arguments of its table line.
    ///
    /// An older table of the same device may still be in use: this may look at devices, but not
    /// write to them. May sleep.
    fn new(
        constructor: &mut Constructor<'_, Self::Shared>,
        args: Args<'_>,
    ) -> Result<Pin<KBox<Self>>, NewError>;

    /// Says where a bio goes.
    ///
    /// Runs in the context of whoever submits the bio, and must not wait for other I/O.
    fn map<'a>(&self, bio: MapBio<'a, Self::PerBio>) -> Mapped<'a>;

    /// Sees a bio that its device failed with `status`, after [`PerBio::returned`]. Any context,
    /// interrupts included: must not sleep.
    ///
    /// Once the bio was taken, whoever has it may end it, and then the table may be replaced. The
    /// target is not destroyed before this returns.
    fn failed<'a>(&self, bio: EndBio<'a, Self::PerBio>, _status: Status) -> Ended<'a> {
        bio.done()
    }

    /// The device is about to be suspended; I/O still comes. May sleep.
    fn presuspend(&self) {}

    /// The suspend that was begun will not come. May sleep.
    fn presuspend_undo(&self) {}

    /// The device is suspended: all I/O is done, none comes. May sleep.
    fn postsuspend(&self) {}

    /// The device is about to be resumed; an error refuses that. May sleep.
    fn preresume(&self) -> Result {
        Ok(())
    }

    /// I/O is about to come. May sleep.
    fn resume(&self) {}

    /// The device is being removed, and the target is dropped next: it has no users, no bio of it
    /// is in flight, and no table follows. May sleep.
    fn removed(&self) {}

    /// Writes one line, without its end, on the state or the arguments. May sleep.
    fn status(&self, kind: StatusKind, out: &mut Text<'_>);

    /// Does what a message says and answers in `out`. May sleep.
    ///
    /// An error reaches the sender as an error number; what was written to `out` is then lost.
    fn message(&self, args: Args<'_>, out: &mut Text<'_>) -> Result;

    /// Shows every part of every device that the target stands on. May sleep.
    fn iterate_devices(&self, visitor: &mut DeviceVisitor<'_>);

    /// Changes the limits that were stacked from the devices. May sleep.
    fn io_hints(&self, _limits: &mut QueueLimits) {}

    /// The device that gets ioctls meant for the whole; `None` refuses them.
    ///
    /// Since the target is more than this device, only a privileged caller may send them.
    fn prepare_ioctl(&self) -> Option<DeviceId> {
        None
    }
}
