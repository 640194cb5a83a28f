// SPDX-License-Identifier: GPL-2.0

//! Writing commits and checkpoints.

use super::array::{
    Array,
    Head, //
};
use super::block::{
    self,
    Address,
    Block,
    Features,
    Header,
    Kind,
    Role, //
};
use super::record::{
    self,
    In,
    Record, //
};
use super::standing::Standing;
use super::storage::{
    Failed,
    Region,
    Storage, //
};
use super::survey::Choice;
use crate::geometry::Unit;
use crate::index::{
    Index,
    NodeMemory,
    State, //
};
use crate::region_layout::{
    Regions,
    Slot,
    MAX_REGIONS,
    SPARE_REGIONS, //
};
use crate::spares::Spares;
use core::ops::DerefMut;

/// What is known of one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copy {
    /// The array has no such region.
    Absent,
    /// It has all commits. Its newest checkpoint is in this slot and of this generation.
    Good { slot: Slot, checkpoint: u64 },
    /// It failed, or is behind; a checkpoint may bring it back. Its newest slot, if it has one, and
    /// whether it still is to be marked as one that misses commits.
    Dropped {
        slot: Option<Slot>,
        is_unmarked: bool,
    },
}

/// Nothing was written durably for certain, and nothing will be any more.
///
/// The commit may yet be found when the array is loaded the next time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dead;

/// The write side of an array's metadata.
///
/// # Invariants
///
/// - Every region that is `Good` holds a chain that ends with `generation`.
/// - `generation` is at most `commits_per_checkpoint` after the checkpoint of any `Good` region.
/// - `tip` is the session of the commit `generation`.
#[derive(Clone, Debug)]
pub struct Journal {
    array: Array,
    features: Features,
    /// No head on disk says yet what readers must know of the commits to come.
    lacks_features: bool,
    copies: [Copy; MAX_REGIONS],
    generation: u64,
    tip: u64,
    /// The session of the commits to come.
    session: u64,
    /// A region on main took a write for the last commit.
    main_took_one: bool,
}

/// How many other places of a log are tried to mark a region that misses commits.
const MARKS: u64 = 4;

/// The records of a checkpoint, and how many of each kind there are.
pub struct Contents<I> {
    /// How many relocated units.
    pub relocated: u64,
    /// How many retired spare units.
    pub retired: u64,
    /// The relocated units in order, then the retired spare units in order.
    pub records: I,
}

/// What a checkpoint of a map and its spare units holds.
pub fn contents<'a, M: NodeMemory + 'a, B: DerefMut<Target = [u64]>>(
    map: &'a Index<M>,
    spares: &'a Spares<B>,
) -> Contents<impl Iterator<Item = Record> + 'a> {
    let units = || {
        map.iter_from(Unit(0))
            .filter_map(|(unit, entry)| match entry.state {
                State::Relocated { spare, valid } => Some(Record::Relocated { unit, spare, valid }),
                State::Main | State::Suspect => None,
            })
    };
    let bad = spares.retired_units();
    Contents {
        relocated: units().count() as u64,
        retired: spares.retired(),
        records: units().chain(bad.map(|spare| Record::Retired { spare })),
    }
}

impl Journal {
    /// The journal of an array that has nothing on disk yet: a checkpoint must follow, which will be of
    /// `generation`, made in `session`, a random number.
    pub fn format<S: Storage>(array: Array, storage: &S, generation: u64, session: u64) -> Self {
        let copies = core::array::from_fn(|at| {
            let region = Region(at);
            if storage.carries(&array, region) {
                Copy::Dropped {
                    slot: None,
                    is_unmarked: false,
                }
            } else {
                Copy::Absent
            }
        });
        // INVARIANT: No region is `Good`.
        Self {
            array,
            features: Features::KNOWN,
            lacks_features: false,
            copies,
            generation,
            tip: session,
            session,
            main_took_one: false,
        }
    }

    /// The journal of an array that was just read. Commits that follow are made in `session`, a
    /// random number.
    pub fn resume(choice: &Choice, session: u64) -> Self {
        let regions = choice.identity.array.regions();
        let copies = core::array::from_fn(|at| {
            let Some(survey) = choice.surveys.get(at).copied().flatten() else {
                return Copy::Absent;
            };
            let slot = survey.chain.map(|chain| chain.slot);
            match survey.chain {
                // INVARIANT: The region's chain ends where the best one does, not too far on.
                Some(chain)
                    if choice.is_current(Region(at))
                        && chain.end - chain.checkpoint <= regions.commits_per_checkpoint() =>
                {
                    Copy::Good {
                        slot: chain.slot,
                        checkpoint: chain.checkpoint,
                    }
                }
                _ => Copy::Dropped {
                    slot,
                    is_unmarked: true,
                },
            }
        });
        let features = choice.identity.features;
        Self {
            array: choice.identity.array,
            features: features.with(Features::KNOWN),
            lacks_features: features.with(Features::KNOWN) != features,
            copies,
            generation: choice.chain.end,
            tip: choice.chain.session,
            session,
            main_took_one: false,
        }
    }

    /// Begins a state to which no commit leads: a checkpoint must follow, which will be of a
    /// generation that is newer than the last one and than `seen`.
    pub fn advance(&mut self, seen: u64) -> Result<(), Dead> {
        self.generation = self.generation.max(seen).checked_add(1).ok_or(Dead)?;
        for copy in &mut self.copies {
            if copy.is_good() {
                // INVARIANT: No region is `Good`.
                *copy = Copy::Dropped {
                    slot: copy.slot(),
                    is_unmarked: false,
                };
            }
        }
        // INVARIANT: The commit is one of the session that begins.
        self.tip = self.session;
        Ok(())
    }

    /// The array.
    pub fn array(&self) -> &Array {
        &self.array
    }

    /// Whether this code may write the array's metadata.
    pub fn may_write(&self) -> bool {
        self.features.may_write()
    }

    /// The number of the last commit.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How many regions the array has.
    pub fn total(&self) -> usize {
        self.copies.iter().filter(|c| **c != Copy::Absent).count()
    }

    /// How many of them have all commits.
    pub fn good(&self) -> usize {
        self.copies.iter().filter(|copy| copy.is_good()).count()
    }

    /// Whether a region on main has all commits.
    pub fn has_good_on_main(&self) -> bool {
        self.copies.iter().skip(SPARE_REGIONS).any(Copy::is_good)
    }

    /// Whether a region of the spare has all commits: without one the array cannot be loaded.
    fn has_good_on_spare(&self) -> bool {
        self.copies.iter().take(SPARE_REGIONS).any(Copy::is_good)
    }

    /// Whether main took a write for the last commit, be it the commit itself or the mark of a
    /// region that failed to take it.
    pub fn main_took_one(&self) -> bool {
        self.main_took_one
    }

    /// Whether a checkpoint must be made before the next commit.
    pub fn is_due(&self) -> bool {
        let mut copies = self.copies.iter().filter(|copy| copy.is_good());
        self.lacks_features || copies.any(|&copy| !self.can_do_without(copy))
    }

    fn regions(&self) -> Regions {
        self.array.regions()
    }

    fn header(
        &self,
        kind: Kind,
        region: Region,
        number: u64,
        (generation, session): (u64, u64),
        count: u32,
    ) -> Header {
        Header {
            kind,
            address: Address {
                array: self.array.uuid,
                device: self.array.device(region.role()),
                role: region.role(),
                region: region.number(),
                number,
            },
            features: self.features,
            generation,
            count,
            session,
        }
    }

    /// Calls `write` for each region that `wanted` names; it answers how the region stands then. Those
    /// where it fails are dropped.
    fn each(
        &mut self,
        wanted: impl Fn(Region, Copy) -> bool,
        mut write: impl FnMut(&Self, Region, Copy) -> Result<Copy, Failed>,
    ) {
        for at in 0..MAX_REGIONS {
            let region = Region(at);
            let copy = self.copies.get(at).filter(|&&copy| wanted(region, copy));
            let Some(&copy) = copy else { continue };
            let after = write(self, region, copy);
            if let Some(place) = self.copies.get_mut(at) {
                *place = after.unwrap_or(Copy::Dropped {
                    slot: copy.slot(),
                    is_unmarked: true,
                });
            }
        }
    }

    /// Makes one commit of at most [`In::Log`]'s capacity of records durable in every good region.
    ///
    /// It is an error if no region of the spare takes it, whatever main's do: the array could not
    /// be loaded. The caller makes a checkpoint first where one [is due](Self::is_due), or gets an
    /// error.
    pub fn commit<S: Storage>(
        &mut self,
        storage: &mut S,
        block: &mut Block,
        standing: &Standing,
        records: &[Record],
    ) -> Result<(), Dead> {
        if self.is_due() || records.len() > In::Log.capacity() {
            return Err(Dead);
        }
        let generation = self.generation.checked_add(1).ok_or(Dead)?;
        self.main_took_one = false;
        block.fill(0);
        standing.write(block);
        block::set_parent(block, self.tip);
        for (at, &record) in records.iter().enumerate() {
            record::write(block, In::Log, at, record);
        }
        let count = records.len() as u32;
        self.log(storage, block, Role::SPARE, generation, count);
        if !self.has_good_on_spare() {
            return Err(Dead);
        }
        self.log(storage, block, Role::MAIN, generation, count);
        // INVARIANT: The regions that are still good have the commit, and a checkpoint was not due.
        (self.generation, self.tip) = (generation, self.session);
        self.mark_dropped(storage, block);
        Ok(())
    }

    /// Writes the block of a commit to every good region of a device.
    fn log<S: Storage>(
        &mut self,
        storage: &mut S,
        block: &mut Block,
        role: Role,
        generation: u64,
        count: u32,
    ) {
        let number = self.regions().log(generation);
        let mut took_one = false;
        self.each(
            |region, copy| copy.is_good() && region.role() == role,
            |this, region, copy| {
                let commit = (generation, this.session);
                let header = this.header(Kind::Log, region, number, commit, count);
                header.seal(block, S::CRC32C);
                storage.write_through(region, number, block)?;
                took_one = true;
                Ok(copy)
            },
        );
        self.main_took_one |= took_one && role == Role::MAIN;
    }

    /// Marks the regions that miss the last commit: a block that is of it is written where another
    /// belongs.
    ///
    /// Such a region is not believed when no other can be read, since it holds a block of a commit
    /// to which its log does not lead. A region that takes no write at all stays unmarked.
    fn mark_dropped<S: Storage>(&mut self, storage: &mut S, block: &mut Block) {
        let (regions, commit) = (self.regions(), (self.generation, self.tip));
        for at in 0..MAX_REGIONS {
            let region = Region(at);
            let Some(&Copy::Dropped {
                slot,
                is_unmarked: true,
            }) = self.copies.get(at)
            else {
                continue;
            };
            block.fill(0);
            let marked = (1..=MARKS).any(|ahead| {
                let number = regions.log(self.generation.wrapping_add(ahead));
                let header = self.header(Kind::Log, region, number, commit, 0);
                header.seal(block, S::CRC32C);
                storage.write_through(region, number, block).is_ok()
            });
            self.main_took_one |= marked && region.role() == Role::MAIN;
            if let Some(place) = self.copies.get_mut(at) {
                *place = Copy::Dropped {
                    slot,
                    is_unmarked: false,
                };
            }
        }
    }

    /// Writes the whole state to every region, those that were dropped too; to how many it could.
    ///
    /// It overwrites the older checkpoint of each region, which nothing needs.
    pub fn checkpoint<S: Storage>(
        &mut self,
        storage: &mut S,
        block: &mut Block,
        standing: &Standing,
        contents: Contents<impl Iterator<Item = Record>>,
    ) -> Result<usize, Dead> {
        self.write_state(storage, block, standing, contents, |copy| {
            copy != Copy::Absent
        })
    }

    /// Writes the whole state to the regions that were dropped; to how many it could.
    pub fn revive<S: Storage>(
        &mut self,
        storage: &mut S,
        block: &mut Block,
        standing: &Standing,
        contents: Contents<impl Iterator<Item = Record>>,
    ) -> Result<usize, Dead> {
        self.write_state(storage, block, standing, contents, |copy| {
            matches!(copy, Copy::Dropped { .. })
        })
    }

    fn write_state<S: Storage>(
        &mut self,
        storage: &mut S,
        block: &mut Block,
        standing: &Standing,
        contents: Contents<impl Iterator<Item = Record>>,
        wanted: fn(Copy) -> bool,
    ) -> Result<usize, Dead> {
        let head = Head {
            array: self.array,
            generation: self.generation,
            relocated: contents.relocated,
            retired: contents.retired,
            standing: *standing,
        };
        let blocks = head.record_blocks().ok_or(Dead)?;
        let mut tried = self.copies;
        for copy in tried.iter_mut().filter(|copy| !wanted(**copy)) {
            *copy = Copy::Absent;
        }
        let mut records = contents.records;
        for at in 0..blocks {
            self.write_records(storage, block, &mut tried, at, &mut records);
        }
        let written = self.write_heads(storage, block, &tried, &head, wanted);
        self.lacks_features &= written == 0;
        if self.good() == 0 {
            return Err(Dead);
        }
        Ok(written)
    }

    /// Writes one block of records to the slot that each region of `tried` does not use; those that
    /// fail become `Absent` there.
    fn write_records<S: Storage>(
        &self,
        storage: &mut S,
        block: &mut Block,
        tried: &mut [Copy; MAX_REGIONS],
        at: u64,
        records: &mut impl Iterator<Item = Record>,
    ) {
        block.fill(0);
        let mut count = 0;
        for (place, record) in records.take(In::Checkpoint.capacity()).enumerate() {
            record::write(block, In::Checkpoint, place, record);
            count += 1;
        }
        for (index, copy) in tried.iter_mut().enumerate() {
            let Some(slot) = copy.free_slot() else {
                continue;
            };
            let (region, number) = (Region(index), self.regions().records(slot) + at);
            let commit = (self.generation, self.tip);
            let header = self.header(Kind::Records, region, number, commit, count);
            header.seal(block, S::CRC32C);
            if storage.write(region, number, block).is_err() {
                *copy = Copy::Absent;
            }
        }
    }

    /// Makes the records durable, then the heads; in how many regions.
    fn write_heads<S: Storage>(
        &mut self,
        storage: &mut S,
        block: &mut Block,
        tried: &[Copy; MAX_REGIONS],
        head: &Head,
        wanted: fn(Copy) -> bool,
    ) -> usize {
        head.write(block);
        let mut written = 0;
        self.each(
            |_, copy| wanted(copy),
            |this, region, copy| {
                let slot = tried.get(region.0).copied().and_then(Copy::free_slot);
                let done = slot.ok_or(Failed).and_then(|slot| {
                    storage.flush(region)?;
                    let number = this.regions().header(slot);
                    let commit = (head.generation, this.tip);
                    let header = this.header(Kind::Checkpoint, region, number, commit, 0);
                    header.seal(block, S::CRC32C);
                    storage.write_through(region, number, block)?;
                    written += 1;
                    // INVARIANT: The region has a checkpoint of `generation`, and nothing follows.
                    Ok(Copy::Good {
                        slot,
                        checkpoint: head.generation,
                    })
                });
                // A slot that cannot be written is no harm while the other and the log go on.
                Ok(match done {
                    Ok(after) => after,
                    Err(Failed) if this.can_do_without(copy) => copy,
                    Err(Failed) => copy.without(slot.is_some()),
                })
            },
        );
        written
    }

    /// Whether a region takes another commit without a checkpoint.
    fn can_do_without(&self, copy: Copy) -> bool {
        let most = self.regions().commits_per_checkpoint();
        matches!(copy, Copy::Good { checkpoint, .. } if self.generation - checkpoint < most)
    }
}

impl Copy {
    fn is_good(&self) -> bool {
        matches!(self, Self::Good { .. })
    }

    fn slot(self) -> Option<Slot> {
        match self {
            Self::Absent => None,
            Self::Good { slot, .. } => Some(slot),
            Self::Dropped { slot, .. } => slot,
        }
    }

    /// One whose free slot failed, perhaps when its head was written: the other is tried next.
    fn without(self, has_head: bool) -> Self {
        let is_unmarked = match self {
            // The mark is there yet.
            Self::Dropped { is_unmarked, .. } if !has_head => is_unmarked,
            _ => true,
        };
        Self::Dropped {
            slot: self.free_slot(),
            is_unmarked,
        }
    }

    /// The slot that a new checkpoint may be written to.
    fn free_slot(self) -> Option<Slot> {
        match self {
            Self::Absent => None,
            _ => Some(self.slot().map_or(Slot::A, Slot::other)),
        }
    }
}
