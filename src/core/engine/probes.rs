// SPDX-License-Identifier: GPL-2.0

//! The questions that were asked of devices, and the last answers.

use crate::geometry::Unit;

/// For how many milliseconds it is believed that nothing on main can be read.
pub(super) const AWAY: u64 = 1000;

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Whether a block of main can be read, far from a unit that failed.
    MainReads,
    /// Whether main takes a commit, where it has metadata; it is believed to where it has none.
    MainWrites,
    /// Whether a block of the spare can be read, where its metadata are.
    SpareReads,
    /// Whether a commit can be made, which the spare has to take.
    SpareWrites,
}

impl Probe {
    pub(super) const ALL: [Self; 4] = [
        Self::MainReads,
        Self::MainWrites,
        Self::SpareReads,
        Self::SpareWrites,
    ];
}

/// A question that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(super) probe: Probe,
    /// The first probe of its kind that answers it.
    pub(super) number: u64,
}

/// The probes of one kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// How many began.
    pub(super) begun: u64,
    /// How many ended.
    pub(super) ended: u64,
    /// What the last one said.
    pub(super) works: bool,
    pub(super) is_wanted: bool,
    /// A unit that failed.
    pub(super) unit: Unit,
}

/// The probes of an engine.
#[derive(Debug)]
pub(super) struct Probes {
    pub(super) kinds: [Kind; 4],
    /// When nothing on main could be read, in milliseconds.
    pub(super) main_failed_at: Option<u64>,
    /// The group whose commit a probe waits for, and whether main took a write for it, once it is
    /// durable.
    pub(super) watched: Option<(u64, Option<bool>)>,
}

impl Default for Probes {
    fn default() -> Self {
        const NONE: Kind = Kind {
            begun: 0,
            ended: 0,
            works: true,
            is_wanted: false,
            unit: Unit(0),
        };
        Self {
            kinds: [NONE; 4],
            main_failed_at: None,
            watched: None,
        }
    }
}

impl Probes {
    /// Takes note of a commit that is durable.
    pub(super) fn note_commit(&mut self, number: u64, main_took_one: bool) {
        if let Some((watched, answer)) = &mut self.watched {
            if *watched == number {
                *answer = Some(main_took_one);
            }
        }
    }

    pub(super) fn kind(&mut self, probe: Probe) -> Option<&mut Kind> {
        self.kinds.get_mut(probe as usize)
    }
}
