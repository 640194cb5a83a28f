// SPDX-License-Identifier: GPL-2.0

//! What an instance has of those who work for it on behalf of the active table.

use super::{
    machines::Due,
    report::Report,
    task::Machine, //
};
use kernel::sync::Arc;

/// Those who work for an instance. All of it sleeps, but waits for no device, but for
/// [`Self::flush`].
pub(crate) trait Attend: Send + Sync {
    /// Begins what is due.
    fn attend(&self, due: Due);

    /// Begins machines, each of which tells `report` what came of it; how many there was memory
    /// for.
    fn begin(&self, machines: &mut dyn Iterator<Item = Machine>, report: &Arc<Report>) -> usize;

    /// Has tasks begin for which there was no memory.
    fn wake_lanes(&self);

    /// Waits until what was queued is done.
    fn flush(&self);
}
