// SPDX-License-Identifier: GPL-2.0

//! What the machines of the engine ask for, and what they are told.

use crate::classify::Status;
use crate::geometry::{
    Geometry,
    SpareUnit,
    Unit, //
};
use core::ops::Range;

/// A device of the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The main device.
    Main,
    /// The spare device.
    Spare,
}

/// What I/O does with its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Reads them.
    Read,
    /// Writes them, so that they are durable when the I/O ends (FUA).
    Write,
    /// Gives them up.
    Discard,
}

/// Whose data I/O reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// Those of the bio that the machine serves.
    Bio,
    /// The machine's own buffer of one unit, at the place that the sectors have in their unit.
    Unit,
    /// A second buffer like it, to compare with, or for what is only read to see whether it can be.
    Check,
    /// Zeroes.
    Zeroes,
}

/// I/O that a machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Io {
    /// Where.
    pub device: Device,
    /// What.
    pub verb: Verb,
    /// The first sector on the device.
    pub at: u64,
    /// The sectors of the target whose data these are.
    pub sectors: Range<u64>,
    /// Whose data.
    pub data: Data,
    /// Whether the I/O goes where the map says, so that whoever moves the unit must wait for it.
    ///
    /// Its section begins before anything else is done with the engine.
    pub is_mapped: bool,
}

impl Io {
    /// I/O on these sectors of a unit that is on main, or in the spare unit `place`. It is not
    /// mapped.
    pub(super) fn of_unit(
        geometry: &Geometry,
        place: Option<SpareUnit>,
        verb: Verb,
        sectors: Range<u64>,
        data: Data,
    ) -> Self {
        let (device, at) = match place {
            Some(spare) => (Device::Spare, geometry.on_spare(spare, sectors.start)),
            None => (Device::Main, geometry.on_main(sectors.start)),
        };
        Self {
            device,
            verb,
            at,
            sectors,
            data,
            is_mapped: false,
        }
    }
}

/// For what a machine waits that others bring about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The unit is no longer claimed.
    Unit(Unit),
    /// The commit of the group of this number has ended.
    Commit(u64),
    /// There may be room in the group that is gathered.
    GroupRoom,
    /// A probe has ended.
    Probe,
    /// A spare unit may be free, or waiting for one has ended.
    Spare,
    /// A claim has ended, so that there may be room, and memory, for another.
    Room,
    /// There may be memory for updates of the map.
    Memory,
    /// A checkpoint has ended.
    Checkpoint,
}

/// What a machine wants to be done before it goes on. It goes on with the [`Event`] of the same
/// name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// I/O.
    Io(Io),
    /// A comparison of both buffers over these sectors: [`Event::Io`] says whether they are alike.
    Compare(Range<u64>),
    /// So many milliseconds.
    Sleep(u32),
    /// The end of all I/O that went where an older map said.
    Quiesce,
    /// [`Event::Woken`], which may come for no reason: the machine looks again.
    Wait(Key),
    /// Nothing: the machine has ended so.
    End(Status),
}

/// What a machine wants next that ends with an outcome of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn<O> {
    /// To go on after this.
    Act(Action),
    /// Nothing: it has ended.
    Ended(O),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The machine begins.
    Begin,
    /// The I/O ended.
    Io(Result<(), Status>),
    /// The time has gone by.
    Slept,
    /// No I/O is left that went where an older map said.
    Quiesced,
    /// It may be worth looking again.
    Woken,
}
