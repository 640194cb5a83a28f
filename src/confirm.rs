// SPDX-License-Identifier: GPL-2.0

//! Trying again what may be a bad sector.

use crate::{
    errors::bad_sector,
    moment::pause, //
};
use kernel_ext::bio::Status;
use remap_core::confirm::WAITS;

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
