// SPDX-License-Identifier: GPL-2.0

//! What is under way.

use crate::disk::Sector;
use remap_core::classify::Status;
use remap_core::engine::finding::Finding;
use remap_core::engine::probe::Prober;
use remap_core::engine::relocation::Relocation;
use remap_core::engine::request::Request;
use remap_core::engine::task::{
    Io,
    Key, //
};
use remap_core::engine::unrelocation::Unrelocation;
use remap_core::geometry::Unit;
use std::collections::BTreeSet;
use std::ops::Range;

pub(crate) enum Machine {
    Request(Request),
    Prober(Prober),
    Relocation(Relocation),
    Unrelocation(Unrelocation),
    Finding(Finding),
}

impl Machine {
    /// How far a request is.
    pub(crate) fn position(&self) -> u64 {
        match self {
            Self::Request(request) => request.position(),
            _ => 0,
        }
    }

    /// What it is, and the names of its states.
    pub(crate) fn states(&self) -> [(&'static str, &'static str); 2] {
        const NONE: (&str, &str) = ("", "");
        match self {
            Self::Request(request) => [
                ("Request", request.state()),
                request
                    .relocation()
                    .map_or(NONE, |own| ("Relocation", own.state())),
            ],
            Self::Relocation(own) => [("Relocation", own.state()), NONE],
            Self::Unrelocation(own) => [("Unrelocation", own.state()), NONE],
            Self::Prober(own) => [("Prober", own.state()), NONE],
            Self::Finding(own) => [("Finding", own.state()), NONE],
        }
    }
}

pub(crate) struct Task {
    pub(crate) machine: Machine,
    /// The client operation that it serves a part of.
    pub(crate) operation: u64,
    pub(crate) unit: Vec<Sector>,
    pub(crate) check: Vec<Sector>,
    pub(crate) waits_for: Option<Key>,
    pub(crate) has_buffers: bool,
}

pub(crate) struct Operation {
    pub(crate) kind: Kind,
    pub(crate) sectors: Range<u64>,
    pub(crate) value: u64,
    pub(crate) found: Vec<u64>,
    pub(crate) left: usize,
    pub(crate) status: Status,
    pub(crate) begun: u64,
    /// The units that were suspects when it began: what is written to them is read at once.
    pub(crate) suspects: BTreeSet<Unit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    WriteZeroes,
    Discard,
}

pub(crate) enum Who {
    Fast(u64),
    Task(u64),
}

pub(crate) struct Pending {
    pub(crate) who: Who,
    pub(crate) io: Io,
    pub(crate) section: Option<u64>,
    /// It ends when nothing else happens.
    pub(crate) is_slow: bool,
}

/// How many sectors I/O has.
pub(crate) fn sectors(io: &Io) -> u64 {
    io.sectors.end - io.sectors.start
}
