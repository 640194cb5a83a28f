// SPDX-License-Identifier: GPL-2.0

//! Device-mapper targets.
//!
//! A target implements [`Target`], has a static [`TargetType`], and is registered for as long as a
//! [`Registration`] lives. For every line of a table that names it, device mapper calls
//! [`Target::new`]; what that returns is shared by all later calls, which may run concurrently, and
//! is dropped with the table.
//!
//! Bios are passed by value: [`MapBio`] while they are mapped, [`EndBio`] when they return from the
//! device, [`OwnedBio`] when the target took them for itself. Each can be finished once, and one
//! that is dropped unfinished fails with an I/O error, so that no request is ever lost or ended
//! twice.
//!
//! C header: [`include/linux/device-mapper.h`](srctree/include/linux/device-mapper.h).

mod args;
mod bios;
mod constructor;
mod devices;
mod events;
mod limits;
mod queue;
mod registration;
mod target;
mod target_type;
mod vtable;

pub use args::Args;
pub use bios::{
    EndBio,
    Ended,
    MapBio,
    Mapped,
    OwnedBio,
    PerBio, //
};
pub use constructor::{
    Constructor,
    NewError, //
};
pub use devices::{
    DeviceId,
    DeviceVisitor, //
};
pub use events::TableEvents;
pub use limits::QueueLimits;
pub use queue::BioQueue;
pub use registration::Registration;
pub use target::{
    StatusKind,
    Target, //
};
pub use target_type::TargetType;
