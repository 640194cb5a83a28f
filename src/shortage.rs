// SPDX-License-Identifier: GPL-2.0

//! What is given up while memory is short, so that relocation is not, and what is tried again in a
//! while.
//!
//! A shortage begins when the reserve of the map cannot be filled. Then the replicas of the map are
//! freed, no suspects are remembered, which would take of the reserve, and the scan waits. It ends
//! when the reserve is full again, which is tried once a second, and whenever a unit is moved. A
//! region of the metadata that failed is tried every ten.

use crate::{
    context::Context,
    repair::Repair, //
};
use kernel::prelude::*;

/// How long to wait before the reserve is filled again, in milliseconds.
const MEMORY_PAUSE: u64 = 1000;

impl Repair {
    /// Makes sure that there is memory for what one move of a unit changes, and waits for it if
    /// not. Sleeps.
    pub(crate) fn ready(&mut self, ctx: &Context) {
        let full = self.nodes.fill().is_ok();
        self.note_shortage(ctx, !full);
        if !full {
            self.nodes.wait(&self.map);
        }
    }

    /// Whether memory is short.
    pub(crate) fn is_short(&self) -> bool {
        self.short
    }

    /// In how many milliseconds something is to be tried again, if anything is.
    pub(crate) fn recovery_due(&self) -> Option<u64> {
        if self.short || self.shown.lacks_some() {
            Some(MEMORY_PAUSE)
        } else if self.metadata.lacks_region() {
            Some(self.metadata.pause())
        } else {
            None
        }
    }

    /// Tries to end the shortage, and to bring regions of the metadata back. Sleeps.
    pub(crate) fn recover(&mut self, ctx: &Context) {
        let now = ctx.milliseconds();
        let is_due = now.saturating_sub(self.metadata.tried_at) >= self.metadata.pause();
        if self.metadata.lacks_region() && is_due && !ctx.is_suspended() {
            self.metadata.tried_at = now;
            // On an error relocation is frozen, and that is said.
            let _ = self.revive(ctx);
            self.metadata.note_tried();
        }
        if core::mem::take(&mut self.spares_freed) {
            self.serve_parked(ctx);
        }
        let full = self.nodes.fill().is_ok();
        self.note_shortage(ctx, !full);
        if !self.short && self.shown.lacks_some() {
            self.shown.restore();
            self.republish(ctx);
        }
    }

    fn note_shortage(&mut self, ctx: &Context, short: bool) {
        if short == self.short {
            return;
        }
        self.short = short;
        ctx.set_short(short);
        self.note_change();
        if !short {
            pr_info!("{}: there is memory again\n", ctx.name());
            return;
        }
        pr_warn!("{}: memory is short\n", ctx.name());
        self.shown.give_up();
        self.republish(ctx);
    }

    /// Publishes what was published, in other memory.
    fn republish(&mut self, ctx: &Context) {
        // If there is no memory for this, the next publication does it.
        let _ = self.publish(ctx);
    }
}
