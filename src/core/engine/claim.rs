// SPDX-License-Identifier: GPL-2.0

//! A unit that a machine is about to change.

use crate::geometry::Unit;

/// The claim of a unit, which one machine has at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub(super) unit: Unit,
    /// Somebody waits for its end, and so for the commit of the change.
    pub(super) is_awaited: bool,
}

impl Claim {
    /// What memory for claims is filled with.
    pub const NONE: Self = Self::of(Unit(0));

    /// A claim for whose end nobody waits yet.
    pub(super) const fn of(unit: Unit) -> Self {
        Self {
            unit,
            is_awaited: false,
        }
    }
}
