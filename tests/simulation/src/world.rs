// SPDX-License-Identifier: GPL-2.0

//! Everything around the engine: clients, the fast path, the executor, disks and time.

use crate::config::{
    Config,
    Tally, //
};
use crate::coverage::Coverage;
use crate::disk::{
    Disk,
    Fault,
    Mode,
    Sector, //
};
use crate::memory::{
    engine,
    state_memory,
    Simulated,
    SimulatedMap,
    CPUS, //
};
use crate::oracle::Oracle;
use crate::storage::{
    sectors_of,
    Places,
    Regions,
    MAIN_SECTORS, //
};
use crate::task::{
    sectors,
    Kind,
    Machine,
    Operation,
    Pending,
    Task,
    Who, //
};
use fastrand::Rng;
use remap_core::breaker::{
    Budget,
    Limit, //
};
use remap_core::classify::{
    is_bad_sector,
    Status, //
};
use remap_core::engine::activate::Restored;
use remap_core::engine::finding::Finding;
use remap_core::engine::probe::Prober;
use remap_core::engine::relocation::{
    self,
    Cause,
    Relocation, //
};
use remap_core::engine::request::{
    Op,
    Request, //
};
use remap_core::engine::task::{
    Action,
    Data,
    Device,
    Event,
    Io,
    Key,
    Turn,
    Verb, //
};
use remap_core::engine::unrelocation::{
    self,
    Unrelocation, //
};
use remap_core::engine::Engine;
use remap_core::geometry::{
    Area,
    Geometry,
    Unit, //
};
use remap_core::index::{
    Entry,
    Gate,
    State, //
};
use remap_core::metadata::array::Array;
use remap_core::metadata::block::{
    Block,
    BLOCK_BYTES,
    BLOCK_SECTORS, //
};
use remap_core::metadata::journal::{
    contents,
    Journal, //
};
use remap_core::metadata::replay::Conflict;
use remap_core::metadata::standing::{
    End,
    Standing, //
};
use remap_core::metadata::storage::{
    Failed,
    Region, //
};
use remap_core::metadata::survey::{
    choose,
    Refused, //
};
use remap_core::metadata::update::{
    RegionIo,
    Which, //
};
use remap_core::metadata::uuid::Uuid;
use remap_core::plan::{
    plan,
    Access,
    Place, //
};
use remap_core::region_layout::MAX_REGIONS;
use remap_core::table::Policy;
use std::collections::{
    BTreeMap,
    BTreeSet,
    VecDeque, //
};
use std::ops::Range;

mod accounts;
mod administrator;
mod buffers;
mod clients;
mod executor;
mod faults;
#[cfg(test)]
mod machines;
mod promises;
mod sequence;

use self::promises::Promises;
pub use self::sequence::{
    Act,
    Failure, //
};

/// A device, its users and its disks.
pub struct World {
    rng: Rng,
    config: Config,
    geometry: Geometry,
    main: Disk,
    spare: Disk,
    engine: Engine<Simulated>,
    published: SimulatedMap,
    /// What repeats each change that is published.
    replica: BTreeMap<Unit, Entry>,
    oracle: Oracle,
    tasks: BTreeMap<u64, Task>,
    operations: BTreeMap<u64, Operation>,
    flushes: Vec<u64>,
    /// Parts that came back since the device is suspended.
    requeued: Vec<(u64, Kind, Range<u64>)>,
    /// Each transition that a machine made, and how often.
    pub coverage: Coverage,
    next_id: u64,
    ready: Vec<(u64, Event)>,
    ios: Vec<Pending>,
    /// How many machines more may have buffers, and those that want some.
    free_buffers: usize,
    wants_buffers: VecDeque<u64>,
    sleeping: Vec<(u64, u64)>,
    quiescing: Vec<(u64, BTreeSet<u64>)>,
    sections: BTreeSet<u64>,
    in_use: BTreeSet<u64>,
    block: Box<Block>,
    orders: Vec<(Region, RegionIo, Box<Block>)>,
    promises: Promises,
    is_updating: bool,
    /// How slow commits are to begin and to end.
    laziness: u64,
    /// One I/O in so many is slow.
    slowness: u64,
    /// How much happens between two operations of clients.
    pace: u32,
    /// The power is to go now.
    is_power_off: bool,
    has_prober: bool,
    /// How many I/Os of the engine were done, and the one that is to fail.
    engine_ios: u64,
    failing_io: Option<(u64, Failure)>,
    /// When a device, or a path, failed last in a way that is over by itself.
    last_outage: u64,
    now: u64,
    session: u64,
    tally: Tally,
    /// Nothing could be committed any more since the array was loaded.
    was_read_only: bool,
    /// Prints what happens.
    pub is_traced: bool,
}

#[derive(Debug)]
enum NotLoaded {
    Refused(Refused),
    Conflict(Conflict),
}

impl From<Refused> for NotLoaded {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Conflict> for NotLoaded {
    fn from(conflict: Conflict) -> Self {
        Self::Conflict(conflict)
    }
}

impl std::fmt::Display for NotLoaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(refused) => write!(f, "not loaded: {refused}"),
            Self::Conflict(conflict) => write!(f, "not loaded: {conflict:?}"),
        }
    }
}

fn geometry(config: &Config) -> Geometry {
    let disk = remap_core::geometry::Device {
        logical_block: 512,
        physical_block: 512,
        sectors: MAIN_SECTORS,
    };
    let main = Area {
        start: 0,
        len: config.units * 8 - 3,
    };
    let spare = Area {
        start: 0,
        len: 4096 + config.spare_units * 8,
    };
    Geometry::new(disk, main, disk, spare, None).expect("a sane geometry")
}

fn array(Places { geometry, on_main }: &Places) -> Array {
    Array {
        uuid: Uuid([1; 16]),
        main: if *on_main { Uuid([2; 16]) } else { Uuid::NIL },
        spare: Uuid([3; 16]),
        unit_sectors: geometry.unit_sectors() as u32,
        block_sectors: geometry.block_sectors() as u32,
        main_sectors: geometry.sectors(),
        spare_sectors: geometry.spare_sectors(),
    }
}

impl World {
    /// A device that was just formatted.
    pub fn new(config: Config, seed: u64) -> Self {
        let geometry = geometry(&config);
        let mut world = Self {
            rng: Rng::with_seed(seed),
            config,
            geometry,
            main: Disk::default(),
            spare: Disk::default(),
            engine: engine(&geometry, config.nodes),
            published: SimulatedMap::new(),
            replica: BTreeMap::new(),
            oracle: Oracle::new(geometry.sectors()),
            tasks: BTreeMap::new(),
            operations: BTreeMap::new(),
            flushes: Vec::new(),
            requeued: Vec::new(),
            coverage: Coverage::new(),
            next_id: 1,
            ready: Vec::new(),
            ios: Vec::new(),
            free_buffers: config.buffers,
            wants_buffers: VecDeque::new(),
            sleeping: Vec::new(),
            quiescing: Vec::new(),
            sections: BTreeSet::new(),
            in_use: BTreeSet::new(),
            block: Box::new([0; BLOCK_BYTES]),
            orders: Vec::new(),
            promises: Promises::default(),
            is_updating: false,
            laziness: Rng::with_seed(!seed).u64(1..150),
            slowness: Rng::with_seed(seed ^ 2).u64(2..40),
            pace: Rng::with_seed(seed ^ 1).u32(2..16),
            is_power_off: false,
            has_prober: false,
            engine_ios: 0,
            failing_io: None,
            last_outage: 0,
            now: 1,
            session: 1,
            tally: Tally::default(),
            was_read_only: false,
            is_traced: false,
        };
        world.format();
        world.configure();
        world
    }

    /// Where the regions are.
    fn places(&self) -> Places {
        Places {
            geometry: self.geometry,
            on_main: self.config.on_main,
        }
    }

    fn format(&mut self) {
        let places = self.places();
        let mut storage = Regions {
            places,
            main: &mut self.main,
            spare: &mut self.spare,
        };
        let mut journal = Journal::format(array(&places), &storage, 0, self.session);
        let all = contents(self.engine.map(), self.engine.spares());
        journal
            .checkpoint(&mut storage, &mut self.block, &Standing::default(), all)
            .expect("a good spare");
        self.engine.set_journal(Some(journal));
        self.renew_promises();
    }

    fn configure(&mut self) {
        let limit = match self.config.is_unlimited {
            true => Limit::new(0, 0).expect("no limit"),
            false => Limit::DEFAULT,
        };
        let policy = match self.rng.bool() {
            true => Policy::Main,
            false => Policy::Spare,
        };
        self.engine.configure(limit, Budget::Usual, policy);
        self.engine
            .set_no_spare_timeout(self.config.no_spare_timeout);
        self.engine.set_suspended(false);
    }

    /// Runs all operations to their end; what happened, or what was wrong.
    pub fn run(&mut self) -> Result<Tally, String> {
        for _ in 0..self.config.operations {
            self.misfortune()?;
            self.administer()?;
            self.begin_operation();
            for _ in 0..self.rng.u32(0..self.pace) {
                self.advance()?;
            }
        }
        self.drain()?;
        self.check_accounts()?;
        Ok(self.tally)
    }

    /// Prints what happens, if asked to.
    fn trace(&self, text: impl FnOnce() -> String) {
        if self.is_traced {
            println!("{}", text());
        }
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn chance(&mut self, of: u64) -> bool {
        of > 0 && self.rng.u64(0..of) == 0
    }
}
