// SPDX-License-Identifier: GPL-2.0

//! What the regions hold, and which of them to believe.

use super::array::{
    Array,
    Head, //
};
use super::block::{
    parent,
    Block,
    Features,
    Flaw,
    Header,
    Kind,
    Role,
    ALONE, //
};
use super::storage::{
    Failed,
    Region,
    Storage, //
};
use crate::region_layout::{
    Regions,
    Slot,
    MAX_REGIONS,
    SPARE_REGIONS, //
};
use core::fmt;

/// Why metadata cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// All of it is zero: there is no array yet.
    Blank,
    /// There is something else where the metadata should be.
    Foreign,
    /// No checkpoint head is whole.
    Destroyed,
    /// No checkpoint head is whole and some cannot be read.
    Unreadable,
    /// Somebody began to write an array and did not come to the end.
    Unfinished,
    /// The format is newer, or has features that this code does not know.
    Newer,
    /// The regions belong to different arrays.
    Mixed,
    /// What is there belongs to another place: devices or regions were swapped.
    Swapped,
    /// The newest commit that can be reached is older than one that was seen.
    Stale {
        /// The newest that can be reached.
        reached: u64,
        /// The newest that was seen.
        seen: u64,
    },
    /// The spare's regions are older than main's, or gone.
    SpareStale,
    /// The data are on another disk, and what this array says of them is old.
    Moved,
    /// The regions hold two histories of the array: copies of it were used apart.
    Forked,
    /// A record contradicts another, or the devices.
    Inconsistent,
    /// What was read once could not be read again.
    Changed,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Blank => "the spare has no metadata",
            Self::Foreign => "the spare holds something that is not ours",
            Self::Destroyed => "all copies of the metadata are damaged",
            Self::Unreadable => "the metadata cannot be read",
            Self::Unfinished => "format, restore or spare replace was interrupted: run it again",
            Self::Newer => "the metadata are of a newer format",
            Self::Mixed => "the regions belong to different arrays",
            Self::Swapped => "devices or regions of the array were swapped",
            Self::Stale { reached, seen } => {
                return write!(
                    f,
                    "the metadata are damaged: commit {reached} can be reached, {seen} was made"
                )
            }
            Self::SpareStale => "the spare's metadata are older than main's, or gone",
            Self::Moved => "the data were moved to another disk",
            Self::Forked => "the regions hold two histories of the array",
            Self::Inconsistent => "the metadata contradict themselves",
            Self::Changed => "the metadata could not be read again",
        };
        f.write_str(text)
    }
}

/// What is at one place where a head belongs.
#[derive(Clone, Copy, Debug)]
enum Place {
    Head(Identity),
    Unfinished { alone: bool },
    Blank,
    Foreign,
    Damaged,
    Unreadable,
    Newer,
    Swapped,
}

fn look<S: Storage>(
    storage: &mut S,
    block: &mut Block,
    regions: &Regions,
    region: Region,
    slot: Slot,
) -> Place {
    let number = regions.header(slot);
    if storage.read(region, number, block).is_err() {
        return Place::Unreadable;
    }
    let header = match Header::read(block, S::CRC32C) {
        Ok(header) => header,
        Err(Flaw::Blank) => return Place::Blank,
        Err(Flaw::NotOurs) => return Place::Foreign,
        Err(Flaw::Checksum) => return Place::Damaged,
        Err(Flaw::Version(_) | Flaw::Kind) => return Place::Newer,
    };
    if !header.features.may_read() {
        return Place::Newer;
    }
    let address = header.address;
    let at_home = address.role == region.role()
        && address.region == region.number()
        && address.number == number;
    match header.kind {
        Kind::Checkpoint if at_home => {}
        Kind::Unfinished if at_home => {
            return Place::Unfinished {
                alone: header.count == ALONE,
            }
        }
        _ => return Place::Swapped,
    }
    match Head::read(block, &header) {
        Some(head) => Place::Head(Identity {
            array: head.array,
            features: header.features,
        }),
        None => Place::Damaged,
    }
}

/// What an array says of itself in the heads of its checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The array.
    pub array: Array,
    /// All features that any head names.
    pub features: Features,
}

/// Finds out whose metadata these are. `regions` are those for the spare area.
pub fn identify<S: Storage>(
    storage: &mut S,
    block: &mut Block,
    regions: &Regions,
) -> Result<Identity, Refused> {
    let mut found: Option<Identity> = None;
    let mut worst = Refused::Blank;
    for at in Region::all() {
        if !storage.has(at) {
            continue;
        }
        for slot in Slot::BOTH {
            match look(storage, block, regions, at, slot) {
                Place::Head(here) => match &mut found {
                    Some(known) if known.array != here.array => return Err(Refused::Mixed),
                    Some(known) => known.features = known.features.with(here.features),
                    None => found = Some(here),
                },
                Place::Newer => return Err(Refused::Newer),
                Place::Unfinished { alone: true } => return Err(Refused::Unfinished),
                Place::Unfinished { alone: false } => worst = graver(worst, Refused::Unfinished),
                // Nobody says that main has regions unless a head does.
                Place::Foreign if at.0 >= SPARE_REGIONS => {}
                Place::Blank => {}
                Place::Foreign => worst = graver(worst, Refused::Foreign),
                Place::Damaged => worst = graver(worst, Refused::Destroyed),
                Place::Unreadable => worst = graver(worst, Refused::Unreadable),
                Place::Swapped => worst = graver(worst, Refused::Swapped),
            }
        }
    }
    match found {
        Some(identity) => Ok(identity),
        None if worst != Refused::Blank => Err(worst),
        None => Err(unused(storage, block, regions)),
    }
}

/// How many blocks at the end of main are searched at most: 16 MiB.
const MOST_SEARCHED: u64 = 4096;

/// [`Refused::Blank`] if neither the spare nor main holds any block of metadata, or what there is.
fn unused<S: Storage>(storage: &mut S, block: &mut Block, regions: &Regions) -> Refused {
    match all_blank(storage, block, regions) {
        Refused::Blank => match main_has_copies(storage, block, regions) {
            Ok(true) => Refused::SpareStale,
            Ok(false) => Refused::Blank,
            Err(Failed) => Refused::Unreadable,
        },
        found => found,
    }
}

/// Whether there is a block of metadata at the end of main, where an array with another target has
/// its copies: a blank spare says nothing of them, and the table may be laid over them.
///
/// The last region of main ends with main, so that the places of its heads are known. Where there
/// is room for one region only, it begins within the last two lengths of a region.
fn main_has_copies<S: Storage>(
    storage: &mut S,
    block: &mut Block,
    regions: &Regions,
) -> Result<bool, Failed> {
    let is_wanted = |block: &Block| {
        Header::read(block, S::CRC32C).is_ok_and(|header| header.address.role == Role::MAIN)
    };
    let length = regions.region_blocks();
    let heads = Slot::BOTH.map(|slot| {
        let behind = length - regions.header(slot);
        behind - 1..behind
    });
    let near = 0..(2 * length).min(MOST_SEARCHED);
    let mut answer = Err(Failed);
    for places in heads.into_iter().chain([near]) {
        match storage.finds_on_main(places, block, &is_wanted) {
            Ok(true) => return Ok(true),
            Ok(false) => answer = Ok(false),
            Err(Failed) => {}
        }
    }
    answer
}

/// The one of two reasons that says more.
fn graver(a: Refused, b: Refused) -> Refused {
    let rank = |reason| match reason {
        Refused::Blank => 0,
        Refused::Foreign => 1,
        Refused::Destroyed => 2,
        Refused::Unreadable => 3,
        Refused::Unfinished => 5,
        _ => 4,
    };
    if rank(b) > rank(a) {
        b
    } else {
        a
    }
}

/// Looks at every block of the spare's regions: [`Refused::Blank`], or what there is.
pub fn all_blank<S: Storage>(storage: &mut S, block: &mut Block, regions: &Regions) -> Refused {
    for region in Region::of_spare() {
        for number in 0..regions.region_blocks() {
            if storage.read(region, number, block).is_err() {
                return Refused::Unreadable;
            }
            match Header::read(block, S::CRC32C) {
                Err(Flaw::Blank) => {}
                Err(Flaw::NotOurs) => return Refused::Foreign,
                Ok(header) if header.kind == Kind::Unfinished => return Refused::Unfinished,
                _ => return Refused::Destroyed,
            }
        }
    }
    Refused::Blank
}

/// The newest whole checkpoint of a region, and how far its log leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Where the checkpoint is.
    pub slot: Slot,
    /// Its generation.
    pub checkpoint: u64,
    /// The last generation that follows it without a gap.
    pub end: u64,
    /// The session of that commit.
    pub session: u64,
}

/// What one region holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// What can be had of it.
    pub chain: Option<Chain>,
    /// The newest generation that any block of it has.
    pub newest: u64,
    /// How many blocks that are in use are damaged.
    pub damaged: u64,
    /// How many blocks cannot be read.
    pub unreadable: u64,
}

/// Reads a block and checks that it is of `kind`, of the array, and where it belongs.
pub(super) fn read_own<S: Storage>(
    storage: &mut S,
    block: &mut Block,
    array: &Array,
    region: Region,
    number: u64,
    kind: Kind,
) -> Result<Header, Miss> {
    storage
        .read(region, number, block)
        .map_err(|_| Miss::Unreadable)?;
    let header = match Header::read(block, S::CRC32C) {
        Ok(header) => header,
        Err(Flaw::Blank) => return Err(Miss::Blank),
        Err(_) => return Err(Miss::Damaged),
    };
    let address = header.address;
    let own = header.kind == kind
        && address.array == array.uuid
        && address.device == array.device(region.role())
        && address.role == region.role()
        && address.region == region.number()
        && address.number == number;
    own.then_some(header).ok_or(Miss::Damaged)
}

/// Why a block is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    Unreadable,
    Blank,
    Damaged,
}

impl Survey {
    /// Reads all of a region of `array`.
    pub fn of<S: Storage>(
        storage: &mut S,
        block: &mut Block,
        array: &Array,
        region: Region,
    ) -> Self {
        let mut this = Self::default();
        for slot in Slot::BOTH {
            let found = this.slot(storage, block, array, region, slot);
            let Some((checkpoint, session)) = found else {
                continue;
            };
            if this.chain.is_none_or(|best| best.checkpoint < checkpoint) {
                this.chain = Some(Chain {
                    slot,
                    checkpoint,
                    end: checkpoint,
                    session,
                });
            }
        }
        this.log(storage, block, array, region);
        this
    }

    fn miss(&mut self, miss: Miss) {
        match miss {
            Miss::Unreadable => self.unreadable += 1,
            Miss::Damaged => self.damaged += 1,
            Miss::Blank => {}
        }
    }

    /// Reads a checkpoint; its generation and session if it is whole.
    fn slot<S: Storage>(
        &mut self,
        storage: &mut S,
        block: &mut Block,
        array: &Array,
        region: Region,
        slot: Slot,
    ) -> Option<(u64, u64)> {
        let regions = array.regions();
        let number = regions.header(slot);
        let header = read_own(storage, block, array, region, number, Kind::Checkpoint);
        let header = header.map_err(|miss| self.miss(miss)).ok()?;
        let head = Head::read(block, &header)?;
        self.newest = self.newest.max(head.generation);
        let mut whole = true;
        for number in (regions.records(slot)..).take(head.record_blocks()? as usize) {
            let records = read_own(storage, block, array, region, number, Kind::Records);
            match records {
                Ok(part) => {
                    whole &= (part.generation, part.session) == (header.generation, header.session);
                }
                Err(miss) => {
                    whole = false;
                    self.miss(miss);
                }
            }
        }
        whole.then_some((head.generation, header.session))
    }

    /// Follows the log from the checkpoint on, all around the ring.
    fn log<S: Storage>(
        &mut self,
        storage: &mut S,
        block: &mut Block,
        array: &Array,
        region: Region,
    ) {
        let regions = array.regions();
        let first = self
            .chain
            .map_or(0, |chain| chain.checkpoint)
            .wrapping_add(1);
        let mut unbroken = self.chain.is_some();
        for step in 0..regions.log_blocks() {
            let generation = first.wrapping_add(step);
            let number = regions.log(generation);
            match read_own(storage, block, array, region, number, Kind::Log) {
                Ok(header) => {
                    self.newest = self.newest.max(header.generation);
                    if let Some(chain) = &mut self.chain {
                        unbroken &=
                            header.generation == generation && parent(block) == chain.session;
                        if unbroken {
                            (chain.end, chain.session) = (generation, header.session);
                        }
                    }
                }
                Err(miss) => {
                    unbroken = false;
                    self.miss(miss);
                }
            }
        }
    }
}

/// Surveys the regions of an array; `None` for those that it does not have.
pub fn surveys<S: Storage>(
    storage: &mut S,
    block: &mut Block,
    array: &Array,
) -> [Option<Survey>; MAX_REGIONS] {
    core::array::from_fn(|at| {
        let wanted = at < SPARE_REGIONS || array.on_main();
        (wanted && storage.has(Region(at))).then(|| Survey::of(storage, block, array, Region(at)))
    })
}

/// All surveys of an array, and the region to load from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The array.
    pub identity: Identity,
    /// What each region holds; `None` for those that the array does not have.
    pub surveys: [Option<Survey>; MAX_REGIONS],
    /// The region that has the newest state.
    pub region: Region,
    /// Where in it.
    pub chain: Chain,
}

impl Choice {
    /// Whether a region has the newest state.
    pub fn is_current(&self, region: Region) -> bool {
        self.chain_of(region)
            .is_some_and(|chain| chain.end == self.chain.end)
    }

    fn chain_of(&self, region: Region) -> Option<Chain> {
        self.surveys.get(region.0).copied().flatten()?.chain
    }

    /// Whether a region ends with a commit that the chosen one does not have in its history.
    ///
    /// A region that is so far behind that the chosen one does not have the commit any more is not
    /// forked, but old.
    fn is_forked<S: Storage>(&self, storage: &mut S, block: &mut Block) -> bool {
        Region::all().any(|region| {
            self.chain_of(region).is_some_and(|other| {
                let own = self.session_of(storage, block, other.end);
                own.is_some_and(|session| session != other.session)
            })
        })
    }

    /// The session of a commit of the chosen region, where that still has it. A block that is older
    /// than its checkpoint may be left from what the region held before it was written anew.
    fn session_of<S: Storage>(
        &self,
        storage: &mut S,
        block: &mut Block,
        generation: u64,
    ) -> Option<u64> {
        if generation == self.chain.end {
            return Some(self.chain.session);
        }
        if !(self.chain.checkpoint..self.chain.end).contains(&generation) {
            return None;
        }
        let (array, regions) = (&self.identity.array, self.identity.array.regions());
        let (number, kind) = if generation == self.chain.checkpoint {
            (regions.header(self.chain.slot), Kind::Checkpoint)
        } else {
            (regions.log(generation), Kind::Log)
        };
        let header = read_own(storage, block, array, self.region, number, kind).ok()?;
        (header.generation == generation).then_some(header.session)
    }
}

/// Reads all regions and picks the one to believe.
pub fn choose<S: Storage>(
    storage: &mut S,
    block: &mut Block,
    regions: &Regions,
) -> Result<Choice, Refused> {
    choose_moved(storage, block, regions).and_then(not_moved)
}

/// As [`choose`], but also of an array whose data are on another disk, which says where they were.
pub fn choose_moved<S: Storage>(
    storage: &mut S,
    block: &mut Block,
    regions: &Regions,
) -> Result<Choice, Refused> {
    let choice = newest(storage, block, regions)?;
    if !Region::of_spare().any(|region| choice.is_current(region)) {
        return Err(Refused::SpareStale);
    }
    Ok(choice)
}

/// As [`choose`], but believes main's regions where no copy of the spare's is left.
///
/// Nothing says then that this is the array's spare: somebody who knows has to. A spare that has a
/// copy, but an older one, is refused as ever.
pub fn choose_without_spare<S: Storage>(
    storage: &mut S,
    block: &mut Block,
    regions: &Regions,
) -> Result<Choice, Refused> {
    let choice = newest(storage, block, regions)?;
    if Region::of_spare().any(|region| choice.chain_of(region).is_some()) {
        return Err(Refused::SpareStale);
    }
    not_moved(choice)
}

/// Refuses an array whose data are on another disk.
fn not_moved(choice: Choice) -> Result<Choice, Refused> {
    match choice.identity.features.are_moved() {
        true => Err(Refused::Moved),
        false => Ok(choice),
    }
}

/// Reads all regions and picks the one that leads furthest.
fn newest<S: Storage>(
    storage: &mut S,
    block: &mut Block,
    regions: &Regions,
) -> Result<Choice, Refused> {
    let identity = identify(storage, block, regions)?;
    if identity.array.regions() != *regions {
        return Err(Refused::Inconsistent);
    }
    let surveys = surveys(storage, block, &identity.array);
    let mut best: Option<(Region, Chain)> = None;
    let mut seen = 0;
    for (survey, region) in surveys.iter().zip(Region::all()) {
        let Some(survey) = survey else { continue };
        seen = seen.max(survey.newest);
        let Some(chain) = survey.chain else { continue };
        if best.is_none_or(|(_, known)| known.end < chain.end) {
            best = Some((region, chain));
        }
    }
    let (region, chain) = best.ok_or(Refused::Destroyed)?;
    if chain.end < seen {
        return Err(Refused::Stale {
            reached: chain.end,
            seen,
        });
    }
    let choice = Choice {
        identity,
        surveys,
        region,
        chain,
    };
    if choice.is_forked(storage, block) {
        return Err(Refused::Forked);
    }
    Ok(choice)
}

/// Believes this region, whatever the others hold.
///
/// For repair by somebody who knows which of several histories is the one to keep.
pub fn choose_region<S: Storage>(
    storage: &mut S,
    block: &mut Block,
    regions: &Regions,
    region: Region,
) -> Result<Choice, Refused> {
    let identity = identify(storage, block, regions)?;
    if identity.array.regions() != *regions {
        return Err(Refused::Inconsistent);
    }
    let surveys = surveys(storage, block, &identity.array);
    let survey = surveys.get(region.0).copied().flatten();
    let chain = survey.and_then(|survey| survey.chain);
    not_moved(Choice {
        identity,
        surveys,
        region,
        chain: chain.ok_or(Refused::Destroyed)?,
    })
}
