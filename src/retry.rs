// SPDX-License-Identifier: GPL-2.0

//! Tries again what a device failed, as the I/O path would, but unit by unit and block by block.
//!
//! The map is asked again each time, so a unit that was moved meanwhile is found where it is now, and each piece of
//! I/O is in flight for those who move units, as any bio is. No lock is held.

use crate::{
    errors::bad_sector,
    instance::Instance,
    target::RemapTarget, //
};
use core::ops::Range;
use kernel::{
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    }, //
};
use kernel_ext::{
    bio::{
        Op,
        Status,
        Transfer, //
    },
    device_mapper::OwnedBio, //
};
use remap_core::plan::{
    plan,
    Access,
    Place, //
};

/// What came of it.
pub(crate) enum Retried {
    /// The bio has ended so.
    Ended(Status),
    /// It failed again, or needs what only repair does.
    Failed,
}

/// Waits before another try. Sleeps.
pub(crate) fn pause(milliseconds: i64) {
    if milliseconds > 0 {
        fsleep(Delta::from_millis(milliseconds));
    }
}

/// Tries `bio` once more. Sleeps.
pub(crate) fn retry(instance: &Instance, bio: &mut OwnedBio<RemapTarget>) -> Retried {
    let (access, transfer) = match bio.op() {
        Op::Read => (Access::Read, Transfer::Read),
        Op::Write => (Access::Write, Transfer::WriteThrough),
        _ => return Retried::Failed,
    };
    bio.per_bio().unreadable = None;
    let geometry = instance.geometry();
    let Range { mut start, end } = bio.sectors();
    while start < end {
        let unit = geometry.sectors_of(geometry.unit_of(start));
        let part = start..end.min(unit.end);
        start = part.end;
        let whole = piece(instance, bio, access, transfer, part.clone());
        let done = match whole {
            Err(status) if bad_sector(status) => each_block(instance, bio, access, transfer, part),
            other => other,
        };
        match done {
            Ok(()) => {}
            Err(status) if bad_sector(status) => return Retried::Failed,
            Err(status) => return Retried::Ended(status),
        }
    }
    Retried::Ended(Status::OK)
}

/// Tries the blocks of a part one by one, up to the first that fails.
fn each_block(
    instance: &Instance,
    bio: &mut OwnedBio<RemapTarget>,
    access: Access,
    transfer: Transfer,
    part: Range<u64>,
) -> Result<(), Status> {
    let block = instance.geometry().block_sectors();
    for start in part.clone().step_by(block as usize) {
        let one = start..(start + block).min(part.end);
        if let Err(status) = piece(instance, bio, access, transfer, one) {
            if access == Access::Read {
                bio.per_bio().unreadable = Some(start);
            }
            return Err(status);
        }
    }
    Ok(())
}

/// Does a piece of a bio, which lies in one unit, where the map says. What the map does not let through fails.
fn piece(
    instance: &Instance,
    bio: &mut OwnedBio<RemapTarget>,
    access: Access,
    transfer: Transfer,
    sectors: Range<u64>,
) -> Result<(), Status> {
    let geometry = instance.geometry();
    // Kept until the I/O has ended: whoever moves the unit waits for it.
    let map = instance.map.read();
    let step = plan(geometry, &map, access, &sectors);
    let (device, at) = match step.place {
        _ if step.sectors < sectors.end - sectors.start => return Err(Status::IOERR),
        Place::Main => (instance.main(), geometry.on_main(sectors.start)),
        Place::Spare(unit) => (instance.spare(), geometry.on_spare(unit, sectors.start)),
        Place::Busy | Place::Repair | Place::Lost | Place::Refused => return Err(Status::IOERR),
    };
    bio.transfer_part(&instance.bios, transfer, device, at, sectors)
}
