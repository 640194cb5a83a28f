// SPDX-License-Identifier: GPL-2.0

//! Tries again what a device failed, as the I/O path would, but unit by unit and then block by
//! block.
//!
//! The map is asked again each time, so a unit that was moved meanwhile is found where it is now,
//! and each piece of I/O is in flight for those who move units, as any bio is. No lock is held.

use crate::{
    bio_context::{
        BioContext,
        Failing,
        Tried, //
    },
    context::Context,
    errors::bad_sector,
    moment::pause, //
};
use core::ops::Range;
use kernel_ext::{
    bio::{
        Op,
        Status,
        Transfer, //
    },
    device_mapper::OwnedBio, //
};
use remap_core::{
    confirm::WAITS,
    plan::{
        plan,
        Access,
        Place, //
    }, //
};

/// What came of it.
pub(crate) enum Retried {
    /// The bio has ended so.
    Ended(Status),
    /// It failed again, or needs what only repair does.
    Failed,
}

/// Tries `bio` once more, and takes note of where it fails. Sleeps.
///
/// A unit that failed to be read before is read block by block. It is written as a whole: one that
/// cannot be stored as a whole is moved as one.
pub(crate) fn retry(ctx: &Context, bio: &mut OwnedBio<BioContext>) -> Retried {
    let (access, transfer) = match bio.op() {
        Op::Read => (Access::Read, Transfer::Read),
        Op::Write => (Access::Write, Transfer::WriteThrough),
        _ => return Retried::Failed,
    };
    let geometry = ctx.geometry();
    let failing = bio.per_bio().tried.failing();
    let failed = failing.filter(|_| access == Access::Read);
    let failed = failed.map(|failing| failing.sector);
    let Range { mut start, end } = bio.sectors();
    while start < end {
        let unit = geometry.sectors_of(geometry.unit_of(start));
        let piece_end = match failed {
            Some(at) if unit.contains(&at) => start + geometry.block_sectors(),
            _ => unit.end,
        };
        let part = start..end.min(piece_end);
        match piece(ctx, bio, access, transfer, part.clone()) {
            Done::Well => start = part.end,
            Done::Failed { status, on_main } if bad_sector(status) => {
                let sector = start;
                bio.per_bio().tried = match on_main {
                    true => Tried::FailedAt(Failing { sector, status }),
                    false => Tried::Failed,
                };
                return Retried::Failed;
            }
            Done::Failed { status, .. } => return Retried::Ended(status),
            Done::Held => {
                bio.per_bio().tried = Tried::Failed;
                return Retried::Failed;
            }
        }
    }
    Retried::Ended(Status::OK)
}

/// Does `attempt` until it works, or until what it meets is confirmed to be a bad sector. Sleeps.
pub(crate) fn confirmed(mut attempt: impl FnMut() -> Result<(), Status>) -> Result<(), Status> {
    let mut done = Err(Status::IOERR);
    for wait in WAITS {
        pause(wait);
        done = attempt();
        if !matches!(done, Err(status) if bad_sector(status)) {
            break;
        }
    }
    done
}

/// What came of a piece.
enum Done {
    Well,
    Failed {
        status: Status,
        on_main: bool,
    },
    /// The map does not let it through.
    Held,
}

/// Does a piece of a bio, which lies in one unit, where the map says.
fn piece(
    ctx: &Context,
    bio: &mut OwnedBio<BioContext>,
    access: Access,
    transfer: Transfer,
    sectors: Range<u64>,
) -> Done {
    let geometry = ctx.geometry();
    // Kept until the I/O has ended: whoever moves the unit waits for it.
    let maps = ctx.maps.read();
    let step = plan(geometry, ctx.map_of(&maps), access, &sectors);
    let (device, at, on_main) = match step.place {
        _ if step.sectors < sectors.end - sectors.start => return Done::Held,
        Place::Main => (ctx.main(), geometry.on_main(sectors.start), true),
        Place::Spare(unit) => {
            let at = geometry.on_spare(unit, sectors.start);
            (ctx.spare(), at, false)
        }
        Place::Busy | Place::Repair | Place::Lost | Place::Refused => return Done::Held,
    };
    match bio.transfer_part(&ctx.bios, transfer, device, at, sectors) {
        Ok(()) => Done::Well,
        Err(status) => Done::Failed { status, on_main },
    }
}
