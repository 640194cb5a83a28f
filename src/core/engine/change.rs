// SPDX-License-Identifier: GPL-2.0

//! A change of one unit that a commit makes durable.

use crate::geometry::Unit;
use crate::index::State;
use crate::metadata::record::Record;

/// What becomes of a unit if it is not known whether its commit is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// It is as it was: the next load finds its data either way.
    Unchanged,
    /// It is as it was, but cannot be written: the next load may look for it elsewhere.
    Stuck,
    /// It can be neither read nor written: the next load may find what it held before or what was
    /// written.
    Unknown,
}

/// A change of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The unit.
    pub unit: Unit,
    /// Its state after the commit.
    pub after: State,
    /// What becomes of it otherwise.
    pub on_failure: OnFailure,
}

impl Change {
    /// What memory for changes is filled with.
    pub const NONE: Self = Self {
        unit: Unit(0),
        after: State::Main,
        on_failure: OnFailure::Unchanged,
    };

    pub(super) fn record(&self) -> Record {
        let unit = self.unit;
        match self.after {
            State::Relocated { spare, valid } => Record::Relocated { unit, spare, valid },
            State::Main | State::Suspect => Record::OnMain { unit },
        }
    }
}
