// SPDX-License-Identifier: GPL-2.0

//! A spare of which each region may fail in its own way.

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

/// What becomes of requests to a region.
#[derive(Clone, Copy)]
pub enum Region {
    /// They work.
    Works,
    /// Reads fail.
    FailsReads,
    /// Reads get a bit that is wrong.
    CorruptsReads,
    /// Writes fail.
    FailsWrites,
    /// Writes are acknowledged and lost.
    LosesWrites,
}

impl Region {
    /// A line of a table. Nothing of dm-flakey works while it is down, which it always is.
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

/// `/dev/mapper/low`, which is the spare.
pub struct Low(Mapped);

impl Low {
    /// Both regions work.
    pub fn new() -> Result<Self> {
        Mapped::create("low", &table(Region::Works, Region::Works)).map(Self)
    }

    /// What the first and the last region do from now on.
    pub fn becomes(&self, first: Region, last: Region) -> Result<()> {
        self.0.replace(&table(first, last))
    }

    /// Both regions work from now on.
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
    /// The spare below it.
    pub low: Low,
    /// The disk below that.
    pub spare: NullDisk,
    /// What `r` holds.
    pub image: Vec<u8>,
}

impl OnLow {
    /// All works.
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
    // What is lost without a word is made good by the other region.
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
