// SPDX-License-Identifier: GPL-2.0

//! Why a unit is not moved.

use crate::classify::Status;

/// Why a unit that was to be relocated stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It is not where it was any more.
    Changed,
    /// No spare unit is left.
    NoSpare,
    /// The spare, or main, failed.
    Io(Status),
    /// Blocks cannot be read, and may not be lost.
    Unreadable,
    /// Blocks cannot be read, and nothing else where they are can: the device is away, and may have
    /// them.
    Away,
    /// The breaker is open.
    Tripped,
    /// No region of the metadata can be written.
    ReadOnly,
    /// No memory.
    NoMemory,
    /// The device is suspended.
    Suspended,
}

impl Obstacle {
    /// What a write ends with that failed with `failed` and needed the move.
    pub const fn status(self, failed: Status) -> Status {
        match self {
            Self::NoSpare | Self::NoMemory | Self::ReadOnly | Self::Away | Self::Suspended => {
                Status::IoErr
            }
            Self::Tripped | Self::Changed => failed,
            Self::Unreadable => Status::Medium,
            Self::Io(status) => status,
        }
    }

    /// The reason in words.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Changed => "it was moved meanwhile",
            Self::NoSpare => "no spare unit is left",
            Self::NoMemory => "out of memory",
            Self::ReadOnly => "no copy of the metadata can be written",
            Self::Tripped => "the breaker is open",
            Self::Unreadable => "blocks of it cannot be read",
            Self::Away => "nothing else on its device can be read either",
            Self::Io(_) => "a device fails",
            Self::Suspended => "the device is suspended",
        }
    }
}
