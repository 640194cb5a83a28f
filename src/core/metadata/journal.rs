// SPDX-License-Identifier: GPL-2.0

//! Writing commits and checkpoints.

mod phases;

use super::array::Array;
use super::block::{
    Address,
    Block,
    Features,
    Header,
    Kind, //
};
use super::record::Record;
use super::standing::Standing;
use super::storage::{
    Region,
    Storage, //
};
use super::survey::Choice;
use super::update::{
    RegionIo,
    Update,
    Which, //
};
use crate::geometry::{
    SpareUnit,
    Unit, //
};
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

/// How many records of each kind a checkpoint has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Relocated units.
    pub relocated: u64,
    /// Retired spare units.
    pub retired: u64,
}

/// The records of a checkpoint.
pub struct Contents<I> {
    /// How many there are.
    pub size: Size,
    /// The relocated units in order, then the retired spare units in order.
    pub records: I,
}

/// What a checkpoint of a map and its spare units holds.
pub fn contents<'a, M: NodeMemory + 'a, B: DerefMut<Target = [u64]>>(
    map: &'a Index<M>,
    spares: &'a Spares<B>,
) -> Contents<impl Iterator<Item = Record> + 'a> {
    let records = || records_after(map, spares, None);
    let is_unit = |record: &Record| matches!(record, Record::Relocated { .. });
    let size = Size {
        relocated: records().filter(is_unit).count() as u64,
        retired: spares.retired(),
    };
    Contents {
        size,
        records: records(),
    }
}

/// The records of a checkpoint that follow `last`; all if there is none.
pub fn records_after<'a, M: NodeMemory + 'a, B: DerefMut<Target = [u64]>>(
    map: &'a Index<M>,
    spares: &'a Spares<B>,
    last: Option<Record>,
) -> impl Iterator<Item = Record> + 'a {
    let behind = |number: u64| number.saturating_add(1);
    let (first, first_bad) = match last {
        Some(Record::Relocated { unit, .. } | Record::OnMain { unit }) => (behind(unit.0), 0),
        Some(Record::Retired { spare }) => (u64::MAX, behind(spare.0)),
        None => (0, 0),
    };
    let units = map
        .iter_from(Unit(first))
        .filter_map(|(unit, entry)| match entry.state {
            State::Relocated { spare, valid } => Some(Record::Relocated { unit, spare, valid }),
            State::Main | State::Suspect => None,
        });
    let bad = spares.retired_from(SpareUnit(first_bad));
    units.chain(bad.map(|spare| Record::Retired { spare }))
}

impl Journal {
    /// The journal of an array that has nothing on disk yet: a checkpoint must follow, which will
    /// be of `generation`, made in `session`, a random number.
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
            features: Features::WRITTEN,
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
            features: features.with(Features::WRITTEN),
            lacks_features: features.with(Features::WRITTEN) != features,
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

    /// Has all heads to come say that the data are on another disk: nobody activates the array any
    /// more.
    pub fn mark_moved(&mut self) {
        self.features = self.features.with(Features::MOVED);
        self.lacks_features = true;
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

    /// Makes one commit of at most [`PER_COMMIT`](super::record::PER_COMMIT) records durable in
    /// every good region.
    ///
    /// An error if no region of the spare takes the commit, whatever main's do: the array could not
    /// be loaded. The caller makes a checkpoint first where one [is due](Self::is_due), or gets an
    /// error.
    pub fn commit<S: Storage>(
        &mut self,
        storage: &mut S,
        block: &mut Block,
        standing: &Standing,
        records: &[Record],
    ) -> Result<(), Dead> {
        let mut records = records.iter().copied();
        let update = self.begin_commit(*standing, records.len())?;
        self.run(update, storage, block, &mut records).map(|_| ())
    }

    /// Writes the whole state to every region, those that were dropped too; to how many it could.
    ///
    /// The older checkpoint of each region, which nothing needs, is overwritten.
    pub fn checkpoint<S: Storage>(
        &mut self,
        storage: &mut S,
        block: &mut Block,
        standing: &Standing,
        contents: Contents<impl Iterator<Item = Record>>,
    ) -> Result<usize, Dead> {
        let update = self.begin_checkpoint(*standing, contents.size, Which::All)?;
        self.run(update, storage, block, &mut { contents.records })
    }

    /// Writes the whole state to the regions that were dropped; to how many it could.
    pub fn revive<S: Storage>(
        &mut self,
        storage: &mut S,
        block: &mut Block,
        standing: &Standing,
        contents: Contents<impl Iterator<Item = Record>>,
    ) -> Result<usize, Dead> {
        let update = self.begin_checkpoint(*standing, contents.size, Which::Dropped)?;
        self.run(update, storage, block, &mut { contents.records })
    }

    /// Does all of an update, region after region.
    fn run<S: Storage>(
        &mut self,
        mut update: Update,
        storage: &mut S,
        block: &mut Block,
        records: &mut impl Iterator<Item = Record>,
    ) -> Result<usize, Dead> {
        while let Some(orders) = self.orders(&mut update, block, records) {
            for (at, order) in orders.into_iter().enumerate() {
                let (Some(order), region) = (order, Region(at)) else {
                    continue;
                };
                self.seal(&update, region, order, block, S::CRC32C);
                let done = match order {
                    RegionIo::Write(number) => storage.write(region, number, block),
                    RegionIo::WriteThrough(number) => storage.write_through(region, number, block),
                    RegionIo::Flush => storage.flush(region),
                };
                self.note(&mut update, region, done);
            }
        }
        self.finish(update)
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

    /// Whether a checkpoint is written to it.
    fn is_wanted(self, which: Which) -> bool {
        match which {
            Which::All => self != Self::Absent,
            Which::Dropped => matches!(self, Self::Dropped { .. }),
        }
    }

    fn is_unmarked(&self) -> bool {
        matches!(
            self,
            Self::Dropped {
                is_unmarked: true,
                ..
            }
        )
    }

    /// The region after it failed.
    fn dropped(self, is_unmarked: bool) -> Self {
        Self::Dropped {
            slot: self.slot(),
            is_unmarked,
        }
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
