// SPDX-License-Identifier: GPL-2.0

//! What the engine has to say, in the kernel log.

use crate::context::Context;
use kernel::prelude::*;
use remap_core::engine::notice::Notice;

/// Says it. What disks bring about is limited in number.
pub(super) fn say(ctx: &Context, notice: Notice) {
    let name = ctx.name();
    match notice {
        Notice::Suspect { sector } if ctx.log.allows() => pr_warn!(
            "{}: sector {} cannot be read, its unit is a suspect\n",
            name,
            ctx.mapped(sector)
        ),
        Notice::Relocated { sector, lost } if ctx.log.allows() => pr_warn!(
            "{}: write at sector {} failed, moving its unit to the spare, {} blocks lost\n",
            name,
            ctx.mapped(sector),
            lost
        ),
        Notice::Stays { sector, why } if ctx.log.allows() => pr_err!(
            "{}: write at sector {} failed and the unit stays: {}\n",
            name,
            ctx.mapped(sector),
            why.reason()
        ),
        Notice::Regions(good, total) if ctx.log.allows() => pr_warn!(
            "{}: {} of {} regions of metadata are good\n",
            name,
            good,
            total
        ),
        Notice::Suspect { .. }
        | Notice::Relocated { .. }
        | Notice::Stays { .. }
        | Notice::Regions(..) => {}
        Notice::Tripped(why) => pr_err!(
            "{}: {}, nothing is relocated any more until 'rearm'\n",
            name,
            why.reason()
        ),
        Notice::Level(level) => {
            pr_warn!("{}: {}% of the spare units are used up\n", name, level);
        }
        Notice::ReadOnly => pr_err!(
            "{}: no copy of the metadata on the spare can be written, nothing is relocated any more\n",
            name
        ),
        Notice::GaveUp(writes, seconds) => pr_err!(
            "{}: no spare unit became free in {} seconds, {} writes fail\n",
            name,
            seconds,
            writes
        ),
        Notice::Short(true) => pr_warn!("{}: memory is short\n", name),
        Notice::Short(false) => pr_info!("{}: there is memory again\n", name),
        Notice::MapIncomplete => pr_err!("{}: out of memory for the map\n", name),
    }
}
