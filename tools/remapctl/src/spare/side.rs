// SPDX-License-Identifier: GPL-2.0

//! What the two devices hold before one takes the place of the other.

use crate::array::{
    Disks,
    Found, //
};
use crate::cli;
use crate::device::Access;
use crate::ground::{
    Ground,
    Place, //
};
use anyhow::{
    Context,
    Result, //
};
use remap_core::metadata::array::Array;
use remap_core::metadata::block::{
    Block,
    Crc32c,
    Flaw,
    Header,
    Kind,
    Role,
    ALONE,
    BLOCK_SECTORS, //
};
use remap_core::metadata::storage::{
    Failed,
    Region,
    Storage, //
};
use remap_core::metadata::survey::{
    choose,
    Choice,
    Refused, //
};
use remap_core::metadata::uuid::Uuid;
use remap_core::region_layout::Slot;
use remap_host::{
    blank_block,
    Contained,
    Unreadable, //
};
use std::ops::Range;

/// The regions on the spare device, and nothing else: what looks like metadata on main belongs to
/// main's users.
pub fn ground_of(disks: &Disks) -> Ground {
    Ground {
        // Those on main are not known without the length of the target.
        regions: disks.places(None),
        older: Vec::new(),
    }
}

/// What is in the place of a head.
enum There {
    /// Nothing.
    Blank,
    /// Metadata that are damaged, such as a mark or a head whose writing was interrupted.
    Damaged,
    /// A block of metadata that belongs there.
    Block(Header),
    /// It cannot be read, or is something else.
    Unknown,
}

/// What is in the places of heads on the spare device.
fn heads(disks: &Disks) -> Vec<There> {
    let (regions, mut block) = (disks.regions(), blank_block());
    let mut found = Vec::new();
    for place in ground_of(disks).regions {
        for number in Slot::BOTH.map(|slot| regions.header(slot)) {
            let sector = place.start + number * BLOCK_SECTORS;
            let read = disks.spare.read(sector, block.as_mut_slice());
            let is_at_home = |header: &Header| {
                let address = header.address;
                (address.role, address.region) == (Role::SPARE, place.region.number())
                    && address.number == number
            };
            found.push(match read.map(|()| Header::read(&block, crc32c::crc32c)) {
                Ok(Ok(header)) if is_at_home(&header) => There::Block(header),
                Ok(Ok(_)) => There::Unknown,
                Ok(Err(Flaw::Blank)) => There::Blank,
                Ok(Err(Flaw::Checksum)) => There::Damaged,
                Ok(Err(_)) | Err(_) => There::Unknown,
            });
        }
    }
    found
}

/// The blocks of metadata in the places of heads on the spare device.
fn blocks(disks: &Disks) -> Vec<Header> {
    let known = heads(disks).into_iter().filter_map(|there| match there {
        There::Block(header) => Some(header),
        There::Blank | There::Damaged | There::Unknown => None,
    });
    known.collect()
}

/// Where on the spare device a block is that was just read.
pub fn head_of(disks: &Disks, found: &Found) -> u64 {
    let choice = &found.contained.choice;
    let head = disks.block(choice.region, disks.regions().header(choice.chain.slot));
    head.map_or(disks.spare_area.start, |(_, sector)| sector)
}

/// What the marks say on a spare that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// The array.
    pub array: Uuid,
    /// The device that took its place.
    pub device: Uuid,
}

/// What the old spare holds.
pub enum Old {
    /// The array.
    Whole(Disks, Box<Found>),
    /// Marks in its place: it was given up for another device.
    GivenUp(Disks, GivenUp),
    /// Nothing, or it is not there.
    Nothing,
}

impl Old {
    /// Looks at it, and keeps others from using it and main.
    pub fn look(devices: &cli::Devices, access: Access) -> Result<Self> {
        if !devices.spare.exists() {
            return Ok(Self::Nothing);
        }
        let mut disks = Disks::open_each(devices, Access::Hold, access)?;
        let refused = match Found::read(&mut disks) {
            Ok(found) => return Ok(Self::Whole(disks, Box::new(found))),
            Err(error) => error,
        };
        match (given_up(&disks), refused.downcast_ref::<Unreadable>()) {
            (Some(given_up), _) => Ok(Self::GivenUp(disks, given_up)),
            (None, Some(Unreadable::Refused(Refused::Blank))) => Ok(Self::Nothing),
            _ => Err(refused).with_context(|| devices.spare.display().to_string()),
        }
    }

    /// The array that it holds, or held.
    pub fn array(&self) -> Option<Uuid> {
        match self {
            Self::Whole(_, found) => Some(found.array().uuid),
            Self::GivenUp(_, given_up) => Some(given_up.array),
            Self::Nothing => None,
        }
    }
}

/// Whether an earlier run began to write this array to a spare device, and all that is in the way
/// there is of it.
pub fn was_begun(disks: &Disks, array: &Uuid) -> bool {
    let blocks = blocks(disks);
    blocks.iter().any(is_alone) && blocks.iter().all(|header| header.address.array == *array)
}

/// What marks say, if each place of a head can be read, and holds one of them or no whole head: one
/// that cannot be read may be that of the array.
pub fn given_up(disks: &Disks) -> Option<GivenUp> {
    let mut said = None;
    for there in heads(disks) {
        let here = match there {
            There::Block(header) if header.kind == Kind::Unfinished && header.count == 0 => {
                GivenUp {
                    array: header.address.array,
                    device: header.address.device,
                }
            }
            There::Blank | There::Damaged => continue,
            There::Block(_) | There::Unknown => return None,
        };
        if said.is_some_and(|said| said != here) {
            return None;
        }
        said = Some(here);
    }
    said
}

/// The metadata beside marks that stand alone, which are read as blank.
struct BesideMarks<'a>(&'a mut Disks);

impl Storage for BesideMarks<'_> {
    const CRC32C: Crc32c = Disks::CRC32C;

    fn has(&self, region: Region) -> bool {
        self.0.has(region)
    }

    fn read(&mut self, region: Region, number: u64, block: &mut Block) -> Result<(), Failed> {
        self.0.read(region, number, block)?;
        if Header::read(block, Self::CRC32C).is_ok_and(|header| is_alone(&header)) {
            block.fill(0);
        }
        Ok(())
    }

    fn finds_on_main(
        &mut self,
        from_end: Range<u64>,
        block: &mut Block,
        is_wanted: &dyn Fn(&Block) -> bool,
    ) -> Result<bool, Failed> {
        self.0.finds_on_main(from_end, block, is_wanted)
    }

    fn write(&mut self, _: Region, _: u64, _: &Block) -> Result<(), Failed> {
        Err(Failed)
    }

    fn write_through(&mut self, _: Region, _: u64, _: &Block) -> Result<(), Failed> {
        Err(Failed)
    }

    fn flush(&mut self, _: Region) -> Result<(), Failed> {
        Err(Failed)
    }
}

/// Whether a block is a mark beside which nothing is believed.
fn is_alone(header: &Header) -> bool {
    header.kind == Kind::Unfinished && header.count == ALONE
}

/// What the new device holds.
pub enum New {
    /// An array.
    Whole(Array),
    /// A complete array, and marks, so that it is refused.
    Marked(Box<Contained>),
    /// The same, but only one region is as it was written.
    Damaged(Box<Contained>),
    /// Anything else.
    Other,
}

impl New {
    /// Looks at it.
    pub fn look(disks: &mut Disks) -> Self {
        let refused = match Found::read(disks) {
            Ok(found) => return Self::Whole(*found.array()),
            Err(error) => error,
        };
        let is_unfinished = matches!(
            refused.downcast_ref(),
            Some(Unreadable::Refused(Refused::Unfinished))
        );
        let Some(contained) = beside_marks(disks).filter(|_| is_unfinished) else {
            return Self::Other;
        };
        match damaged(disks, &contained).is_empty() {
            true => Self::Marked(Box::new(contained)),
            false => Self::Damaged(Box::new(contained)),
        }
    }

    /// A copy that is refused.
    pub fn copy(&self) -> Option<&Contained> {
        match self {
            Self::Marked(copy) | Self::Damaged(copy) => Some(copy),
            Self::Whole(_) | Self::Other => None,
        }
    }

    /// The array, if it is complete.
    pub fn array(&self) -> Option<Array> {
        match self {
            Self::Whole(array) => Some(*array),
            Self::Marked(copy) | Self::Damaged(copy) => Some(copy.choice.identity.array),
            Self::Other => None,
        }
    }
}

/// The array that is complete in a region, beside marks that belong to it.
fn beside_marks(disks: &mut Disks) -> Option<Contained> {
    let (regions, mut beside) = (disks.regions(), BesideMarks(disks));
    let choice = choose(&mut beside, &mut blank_block(), &regions).ok()?;
    let array = choice.identity.array;
    let geometry = beside.0.geometry(&array).ok()?;
    let contained = Contained::chosen(&mut beside, choice, &geometry).ok()?;
    let is_own = |header: &Header| {
        header.address.array == array.uuid && header.address.device == array.spare
    };
    let heads = blocks(beside.0);
    let is_its = !array.on_main() && heads.iter().any(is_alone) && heads.iter().all(is_own);
    is_its.then_some(contained)
}

/// The regions of a copy that are not as they were written.
pub fn damaged(disks: &Disks, copy: &Contained) -> Vec<Place> {
    let mut places = ground_of(disks).regions;
    places.retain(|place| !is_intact(&copy.choice, place.region));
    places
}

/// Whether a region has the newest state, and no block that is damaged or cannot be read.
fn is_intact(choice: &Choice, region: Region) -> bool {
    let survey = choice.surveys.get(region.0).copied().flatten();
    let is_sound = survey.is_some_and(|survey| survey.unreadable + survey.damaged == 0);
    is_sound && choice.is_current(region)
}

/// A region of an array's spare that cannot be read in full, or is damaged, or gone: nobody knows
/// whether it held a newer commit than the others. A mark in the place of a head is not damage: the
/// newest state is overwritten last.
pub fn unsure(disks: &Disks, choice: &Choice) -> Option<Region> {
    let array = &choice.identity.array.uuid;
    let is_mark = |there: &&There| {
        let There::Block(header) = there else {
            return false;
        };
        header.kind == Kind::Unfinished && header.address.array == *array
    };
    let heads = heads(disks);
    let regions = ground_of(disks).regions.into_iter();
    let mut regions = regions.zip(heads.chunks(Slot::BOTH.len()));
    let found = regions.find(|(place, heads)| {
        let marks = heads.iter().filter(is_mark).count() as u64;
        let survey = choice.surveys.get(place.region.0).copied().flatten();
        survey.is_none_or(|survey| {
            let is_there = survey.chain.is_some() || marks > 0;
            !is_there || survey.unreadable > 0 || survey.damaged > marks
        })
    });
    found.map(|(place, _)| place.region)
}
