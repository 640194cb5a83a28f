// SPDX-License-Identifier: GPL-2.0

//! What the two devices hold before one takes the place of the other.

use crate::array::{
    Disks,
    Found, //
};
use crate::cli;
use crate::device::Access;
use crate::ground::Ground;
use anyhow::{
    Context,
    Result, //
};
use remap_core::metadata::array::{
    Array,
    Head, //
};
use remap_core::metadata::block::{
    Flaw,
    Header,
    Kind,
    BLOCK_SECTORS, //
};
use remap_core::metadata::survey::{
    surveys,
    Refused, //
};
use remap_core::metadata::uuid::Uuid;
use remap_core::region_layout::Slot;
use remap_host::{
    blank_block,
    Unreadable, //
};

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
    /// A block of metadata, and the array if it is a head.
    Block(Header, Option<Array>),
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
            found.push(match read.map(|()| Header::read(&block, crc32c::crc32c)) {
                Ok(Ok(header)) => {
                    let head = Head::read(&block, &header);
                    There::Block(header, head.map(|head| head.array))
                }
                Ok(Err(Flaw::Blank)) => There::Blank,
                Ok(Err(_)) | Err(_) => There::Unknown,
            });
        }
    }
    found
}

/// The blocks of metadata in the places of heads on the spare device.
fn blocks(disks: &Disks) -> Vec<(Header, Option<Array>)> {
    let known = heads(disks).into_iter().filter_map(|there| match there {
        There::Block(header, array) => Some((header, array)),
        There::Blank | There::Unknown => None,
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
#[derive(Clone, Copy, PartialEq, Eq)]
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

/// Whether an earlier run began to write this array to a spare device.
pub fn was_begun(disks: &Disks, array: &Uuid) -> bool {
    let mut blocks = blocks(disks).into_iter();
    blocks.any(|(header, _)| header.kind == Kind::Unfinished && header.address.array == *array)
}

/// What marks say, if each place of a head can be read, and holds one of them or nothing: a head
/// that cannot be read may be that of the array.
fn given_up(disks: &Disks) -> Option<GivenUp> {
    let mut said = None;
    for there in heads(disks) {
        let here = match there {
            There::Block(header, _) if header.kind == Kind::Unfinished => GivenUp {
                array: header.address.array,
                device: header.address.device,
            },
            There::Blank => continue,
            There::Block(..) | There::Unknown => return None,
        };
        if said.is_some_and(|said| said != here) {
            return None;
        }
        said = Some(here);
    }
    said
}

/// What the new device holds.
pub enum New {
    /// An array.
    Whole(Array),
    /// A complete array, and marks, so that it is refused.
    Marked(Array),
    /// Anything else.
    Other,
}

impl New {
    /// Looks at it.
    pub fn look(disks: &mut Disks) -> Self {
        if let Ok(found) = Found::read(disks) {
            return Self::Whole(*found.array());
        }
        let blocks = blocks(disks);
        let mut arrays = blocks.iter().filter_map(|(_, array)| *array);
        let Some(array) = arrays.next() else {
            return Self::Other;
        };
        // What is there may say anything of itself.
        let is_one = arrays.all(|other| other == array)
            && array.regions() == disks.regions()
            && !array.on_main();
        if !is_one {
            return Self::Other;
        }
        let is_marked = blocks.iter().all(|(header, _)| {
            header.address.array == array.uuid
                && matches!(header.kind, Kind::Unfinished | Kind::Checkpoint)
        });
        let regions = ground_of(disks).regions;
        disks.mapped = Some(array.main_sectors);
        let surveys = surveys(disks, &mut blank_block(), &array);
        let is_complete = regions.iter().all(|place| {
            let survey = surveys.get(place.region.0).copied().flatten();
            survey.is_some_and(|survey| survey.chain.is_some())
        });
        match is_marked && is_complete {
            true => Self::Marked(array),
            false => Self::Other,
        }
    }

    /// The array, if it is complete.
    pub fn array(&self) -> Option<Array> {
        match self {
            Self::Whole(array) | Self::Marked(array) => Some(*array),
            Self::Other => None,
        }
    }
}
