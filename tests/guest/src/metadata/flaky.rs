// SPDX-License-Identifier: GPL-2.0

//! A spare with individual faults in each region.

use super::{
    again,
    is_refused,
    regions,
    ten_units,
    LAST, //
};
use crate::kit::*;

crate::tests![flakey_writes, flakey_reads,];

/// The table of `r` on such a spare.
pub const TABLE: &str = "0 131072 remap /dev/main 0 /dev/mapper/low 0 16384";

/// The behaviour of a region.
#[derive(Clone, Copy)]
pub enum Region {
    /// All requests succeed.
    Works,
    /// Reads fail.
    FailsReads,
    /// Reads return a wrong bit.
    CorruptsReads,
    /// Writes fail.
    FailsWrites,
    /// Writes are acknowledged and lost.
    LosesWrites,
}

impl Region {
    /// A line of the table. dm-flakey applies its faults while it is down, which is always.
    fn line(self, start: u64) -> String {
        let below = format!("/dev/spare {start}");
        let target = match self {
            Self::Works => format!("linear {below}"),
            Self::FailsReads => format!("flakey {below} 0 600 1 error_reads"),
            Self::CorruptsReads => format!("flakey {below} 0 600 5 corrupt_bio_byte 100 r 85 0"),
            Self::FailsWrites => format!("flakey {below} 0 600 1 error_writes"),
            Self::LosesWrites => format!("flakey {below} 0 600 1 drop_writes"),
        };
        format!("{start} {REGION} {target}")
    }
}

/// `/dev/mapper/low`, the spare.
pub struct Low(Mapped);

impl Low {
    /// Creates the spare; both regions work.
    pub fn new() -> Result<Self> {
        Mapped::create("low", &table(Region::Works, Region::Works)).map(Self)
    }

    /// Sets the behaviour of the first and the last region.
    pub fn becomes(&self, first: Region, last: Region) -> Result<()> {
        self.0.replace(&table(first, last))
    }

    /// Makes both regions work again.
    pub fn works(&self) -> Result<()> {
        self.becomes(Region::Works, Region::Works)
    }
}

fn table(first: Region, last: Region) -> String {
    let units = LAST - REGION;
    let units = format!("{REGION} {units} linear /dev/spare {REGION}");
    [first.line(0), units, last.line(LAST)].join("\n")
}

/// `r` on such a spare, with ten relocated units.
pub struct OnLow {
    /// The device.
    pub r: Remap,
    /// The spare.
    pub low: Low,
    /// The disk below the spare.
    pub spare: NullDisk,
    /// The data of `r`.
    pub image: Vec<u8>,
}

impl OnLow {
    /// Creates `r`; all regions work.
    pub fn new() -> Result<Self> {
        let disks = Disks::new()?;
        let low = Low::new()?;
        let r = Remap::create(TABLE)?;
        let image = ten_units(&r)?;
        Ok(Self {
            r,
            low,
            spare: disks.spare,
            image,
        })
    }
}

fn flakey_writes() -> Result<()> {
    let OnLow { r, low, image, .. } = OnLow::new()?;
    low.becomes(Region::FailsWrites, Region::Works)?;
    r.relocate(8, UNIT)?;
    let status = r.status()?;
    assert_eq!(status.health, "degraded");
    assert_eq!(status.used.to_string(), "11/1536");
    // The other region replaces the silently lost writes.
    low.becomes(Region::LosesWrites, Region::Works)?;
    r.message("checkpoint")?;
    r.relocate(16, UNIT)?;
    r.remove()?;
    low.works()?;
    let r = Remap::create(TABLE)?;
    let status = r.status()?;
    assert_eq!(status.used.to_string(), "12/1536");
    assert_eq!(status.regions.to_string(), "2/2");
    r.holds(&image)?;
    low.becomes(Region::FailsWrites, Region::FailsWrites)?;
    refused("no copy of the metadata can be written", || {
        r.relocate(24, UNIT)
    })?;
    assert_eq!(r.status()?.health, "frozen");
    r.holds(&image)?;
    low.works()?;
    let r = again(r, TABLE)?;
    assert_eq!(regions(&r)?, "2/2");
    r.holds(&image)
}

fn flakey_reads() -> Result<()> {
    let OnLow {
        r,
        low,
        spare,
        image,
    } = OnLow::new()?;
    r.remove()?;
    low.becomes(Region::CorruptsReads, Region::Works)?;
    let r = Remap::create(TABLE)?;
    r.holds(&image)?;
    r.remove()?;
    low.becomes(Region::CorruptsReads, Region::FailsReads)?;
    is_refused("the metadata cannot be read", TABLE)?;
    low.works()?;
    spare.wipe(LAST, REGION)?;
    Remap::create(TABLE)?.holds(&image)
}
