// SPDX-License-Identifier: GPL-2.0

//! Writes that find no spare unit: they fail, or wait for one (`queue_if_no_spare`).

use crate::{
    bio_context::BioContext,
    context::Context,
    repair::Repair, //
};
use kernel::prelude::*;
use kernel_ext::{
    bio::Status,
    device_mapper::OwnedBio, //
};

impl Repair {
    /// Ends a bio that failed with `status`, or keeps it if that was for want of a spare unit.
    pub(crate) fn fail(&mut self, ctx: &Context, bio: OwnedBio<BioContext>, status: Status) {
        if !self.no_spare || !self.parked.may_wait() {
            self.end(ctx, bio, status);
        } else if ctx.is_suspended() {
            bio.complete(Status::DM_REQUEUE);
        } else {
            self.parked.push(bio, ctx.milliseconds());
        }
    }

    /// Ends all writes that wait, since they did for too long.
    pub(crate) fn give_up(&mut self, ctx: &Context) {
        pr_err!(
            "{}: no spare unit became free in {} seconds, {} writes fail\n",
            ctx.name(),
            self.parked.seconds(),
            self.parked.count()
        );
        self.parked.set_in_vain(true);
        self.note_change();
        self.end_parked(Status::IOERR);
    }

    /// Ends all writes that wait.
    fn end_parked(&mut self, status: Status) {
        for bio in self.parked.take_all() {
            bio.complete(status);
        }
    }

    /// Gives them back to device mapper, which keeps them or fails them, as the suspend wants it.
    pub(crate) fn requeue_parked(&mut self) {
        self.end_parked(Status::DM_REQUEUE);
    }

    /// Tries them again, since a spare unit is free.
    pub(crate) fn serve_parked(&mut self, ctx: &Context) {
        self.parked.set_in_vain(false);
        for bio in self.parked.take_all() {
            // Only reads come back.
            drop(self.serve(ctx, bio));
        }
        // Those that wait for the commit are told what became of it.
        let _ = self.settle(ctx);
    }
}
