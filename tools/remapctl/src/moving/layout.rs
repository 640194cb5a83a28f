// SPDX-License-Identifier: GPL-2.0

//! How long the parts of a copy are.

use crate::sysfs::BlockDevice;
use anyhow::{
    bail,
    Context,
    Result, //
};
use std::path::PathBuf;

/// A page in sectors: the smallest region of dm-clone, and the block of its metadata.
pub const PAGE: u64 = 8;
/// The most regions that the data have: each takes some bits of memory.
const MOST_REGIONS: u64 = 1 << 24;
/// How many sectors are copied at a time.
pub const AT_ONCE: u64 = 2048;

/// How long the regions of a copy are, and its state, in sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The data.
    pub sectors: u64,
    /// A region.
    pub region: u64,
    /// The state.
    pub state: u64,
}

impl Layout {
    /// That of a copy of so many sectors.
    pub fn of(sectors: u64) -> Self {
        let mut region = PAGE;
        while sectors.div_ceil(region) > MOST_REGIONS {
            region *= 2;
        }
        // A bit for a region, the same again for what is changed at a time, and as much for how
        // they are kept.
        let bytes = sectors.div_ceil(region).div_ceil(8) * 4;
        Self {
            sectors,
            region,
            state: 2 * AT_ONCE + bytes.div_ceil(512).next_multiple_of(AT_ONCE),
        }
    }

    /// The device with the state, and its first sector there: the one that is named for it, or the
    /// new disk.
    pub fn state_on(
        &self,
        new: &BlockDevice,
        state: Option<&BlockDevice>,
    ) -> Result<(PathBuf, u64)> {
        let length = |device: &BlockDevice| device.sectors().unwrap_or(0);
        let need = crate::say::size(self.state);
        match state {
            Some(device) if length(device) < self.state => {
                let path = device.path.display();
                bail!("{path} is too short for the state of the copy: that takes {need}")
            }
            Some(device) => Ok((device.path.clone(), 0)),
            None => {
                let start = self.behind(length(new)).with_context(|| {
                    format!(
                        "{} has no room for the state of the copy behind the data: '--state' with \
                         another device, of {need} or more, has it there",
                        new.path.display()
                    )
                })?;
                Ok((new.path.clone(), start))
            }
        }
    }

    /// Where the state begins on a new disk of so many sectors, behind the data; `None` if there is
    /// no room for it.
    fn behind(&self, disk: u64) -> Option<u64> {
        let start = disk.checked_sub(self.state)? / PAGE * PAGE;
        (start >= self.sectors).then_some(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_regions_that_memory_has_room_for() {
        let small = Layout::of(1001);
        assert_eq!((small.region, small.state), (8, 6144));
        // 64 GiB are the most that have the smallest regions.
        assert_eq!(Layout::of(1 << 27).region, 8);
        assert_eq!(Layout::of((1 << 27) + 1).region, 16);
        // 16 TiB: regions of 1 MiB, and a state of 10 MiB.
        let large = Layout::of(1 << 35);
        assert_eq!((large.region, large.state), (2048, (10 << 20) >> 9));
    }

    #[test]
    fn the_state_is_behind_the_data_or_nowhere() {
        let layout = Layout::of(1000);
        assert_eq!(layout.behind(1000), None);
        assert_eq!(layout.behind(1000 + layout.state - 1), None);
        assert_eq!(layout.behind(1000 + layout.state), Some(1000));
        assert_eq!(layout.behind(1007 + layout.state), Some(1000));
        assert_eq!(layout.behind(1008 + layout.state), Some(1008));
    }
}
