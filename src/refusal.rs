// SPDX-License-Identifier: GPL-2.0

//! Why a message is refused.

use core::fmt;
use kernel::{
    alloc::AllocError,
    error::Error,
    prelude::*, //
};
use remap_core::message::MessageError;

/// A refusal: nothing was changed, or not all that was asked for.
#[derive(Clone, Copy)]
pub(crate) enum Refusal<'a> {
    /// A word is not UTF-8.
    NotText,
    /// The message cannot be read.
    Message(MessageError<'a>),
    /// The sector does not belong to this target.
    OutOfRange(u64),
    /// The table is read-only.
    ReadOnly,
    /// The device is suspended.
    Suspended,
    /// The unit of the sector is not relocated.
    NotRelocated(u64),
    /// The unit of the sector is not a suspect.
    NotSuspect(u64),
    /// Blocks of the unit were lost; main must not show its old data in their place.
    Lost(u64),
    /// Main fails at the unit of this sector.
    MainFails(u64),
    /// The spare fails at the unit of this sector.
    SpareFails(u64),
    /// A device fails at the unit of this sector, and not for a bad sector.
    DeviceFails(u64),
    /// The device that has the unit of this sector cannot be read elsewhere either.
    Away(u64),
    /// So many units stay, the first of them that of the sector, since not all of their blocks can
    /// be read.
    Unreadable(u64, u64),
    /// No spare unit is left for the unit of this sector.
    NoSpare(u64),
    /// No region of the metadata can be written.
    Frozen,
    /// The scan that was stopped still waits for a read.
    ScanEnds,
    /// The thread of the scan cannot be started.
    NoScan(Error),
    /// No memory.
    NoMemory,
}

impl From<AllocError> for Refusal<'_> {
    fn from(_: AllocError) -> Self {
        Self::NoMemory
    }
}

impl Refusal<'_> {
    /// The error number that the sender gets.
    pub(crate) fn error(&self) -> Error {
        match self {
            Self::NotText | Self::Message(_) => EINVAL,
            Self::OutOfRange(_) => ERANGE,
            Self::ReadOnly => EROFS,
            Self::Suspended | Self::ScanEnds => EBUSY,
            Self::NoScan(error) => *error,
            Self::NotRelocated(_) | Self::NotSuspect(_) => ENOENT,
            Self::Lost(_) => EPERM,
            Self::MainFails(_) | Self::SpareFails(_) | Self::DeviceFails(_) => EIO,
            Self::Away(_) | Self::Unreadable(..) => EIO,
            Self::Frozen => EIO,
            Self::NoSpare(_) => ENOSPC,
            Self::NoMemory => ENOMEM,
        }
    }
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText => write!(f, "message is not UTF-8 text"),
            Self::Message(error) => write!(f, "{error}"),
            Self::OutOfRange(sector) => write!(f, "sector {sector} is outside this target"),
            Self::ReadOnly => write!(f, "the table is read-only"),
            Self::Suspended => write!(f, "the device is suspended"),
            Self::NotRelocated(sector) => write!(f, "sector {sector} is not relocated"),
            Self::NotSuspect(sector) => write!(f, "sector {sector} is not a suspect"),
            Self::Lost(sector) => {
                write!(
                    f,
                    "sector {sector}: blocks of its unit were lost, write them first"
                )
            }
            Self::MainFails(sector) => write!(f, "sector {sector}: main still fails there"),
            Self::SpareFails(sector) => write!(f, "sector {sector}: its spare unit fails"),
            Self::DeviceFails(sector) => {
                write!(
                    f,
                    "sector {sector}: a device fails, and not for a bad sector"
                )
            }
            Self::Away(sector) => {
                write!(
                    f,
                    "sector {sector}: its device cannot be read elsewhere either"
                )
            }
            Self::Unreadable(units, sector) => {
                write!(
                    f,
                    "sector {sector}: blocks cannot be read, {units} units stay; 'lossy' gives such blocks up"
                )
            }
            Self::NoSpare(sector) => write!(f, "sector {sector}: no spare unit is left"),
            Self::Frozen => write!(f, "no copy of the metadata can be written"),
            Self::ScanEnds => write!(f, "the scan that was stopped still waits for a read"),
            Self::NoScan(error) => {
                write!(f, "the scan cannot be started: error {}", error.to_errno())
            }
            Self::NoMemory => write!(f, "out of memory"),
        }
    }
}
