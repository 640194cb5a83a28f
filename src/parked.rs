// SPDX-License-Identifier: GPL-2.0

//! Writes that wait for a spare unit (`queue_if_no_spare`): until one is free, the device is suspended,
//! or an administrator had time enough to do something about it.

use crate::{
    bio_context::BioContext,
    context::Context,
    repair::Repair, //
};
use kernel::prelude::*;
use kernel_ext::{
    bio::Status,
    device_mapper::{
        BioQueue,
        OwnedBio, //
    }, //
};

/// The writes that wait, and for how long they may.
#[derive(Default)]
pub(crate) struct Parked {
    bios: BioQueue<BioContext>,
    count: u64,
    /// When the first of them came, in milliseconds of the instance.
    since: u64,
    /// For how many seconds, if at all.
    patience: Option<u64>,
    /// They waited for so long in vain, and no spare unit was free since.
    in_vain: bool,
}

impl Parked {
    /// How many wait.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// For how many milliseconds more those that wait may, if any do.
    pub(crate) fn left(&self, now: u64) -> Option<u64> {
        let patience = self.patience.unwrap_or(0).saturating_mul(1000);
        (self.count > 0).then(|| patience.saturating_sub(now.saturating_sub(self.since)))
    }

    /// Starts anew with this patience.
    pub(crate) fn start(&mut self, patience: Option<u64>) {
        (self.patience, self.in_vain) = (patience, false);
    }
}

impl Repair {
    /// Ends a bio that failed with `status`, or keeps it if that was for want of a spare unit.
    pub(crate) fn fail(&mut self, ctx: &Context, bio: OwnedBio<BioContext>, status: Status) {
        let waits = self.no_spare && self.parked.patience.is_some();
        if !waits || self.parked.in_vain {
            self.end(ctx, bio, status);
        } else if ctx.is_suspended() {
            bio.complete(Status::DM_REQUEUE);
        } else {
            if self.parked.count == 0 {
                self.parked.since = ctx.milliseconds();
            }
            self.parked.count += 1;
            self.parked.bios.push(bio);
        }
    }

    /// Ends all writes that wait, since they did for too long.
    pub(crate) fn give_up(&mut self, ctx: &Context) {
        pr_err!(
            "{}: no spare unit became free in {} seconds, {} writes fail\n",
            ctx.name(),
            self.parked.patience.unwrap_or(0),
            self.parked.count
        );
        self.parked.in_vain = true;
        self.note_change();
        self.end_parked(Status::IOERR);
    }

    /// Ends all writes that wait.
    fn end_parked(&mut self, status: Status) {
        self.parked.count = 0;
        for bio in self.parked.bios.take_all() {
            bio.complete(status);
        }
    }

    /// Gives them back to device mapper, which keeps them or fails them, as the suspend wants it.
    pub(crate) fn requeue_parked(&mut self) {
        self.end_parked(Status::DM_REQUEUE);
    }

    /// Tries them again, since a spare unit is free.
    pub(crate) fn serve_parked(&mut self, ctx: &Context) {
        self.parked.in_vain = false;
        self.parked.count = 0;
        for bio in self.parked.bios.take_all() {
            // Only reads come back.
            drop(self.serve(ctx, bio));
        }
        // Those that wait for the commit are told what became of it.
        let _ = self.settle(ctx);
    }
}
