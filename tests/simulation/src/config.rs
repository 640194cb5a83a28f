// SPDX-License-Identifier: GPL-2.0

//! What may happen in a run, and what did.

/// What may happen in a run.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How many units main has.
    pub units: u64,
    /// How many units the spare has.
    pub spare_units: u64,
    /// How many client operations.
    pub operations: u64,
    /// One operation in so many is preceded by a fault; 0 for none.
    pub faults: u64,
    /// One fault in so many concerns a device as a whole; 0 for none.
    pub outages: u64,
    /// One operation in so many is preceded by a power cut; 0 for none.
    pub power_cuts: u64,
    /// For how many seconds writes wait for a spare unit.
    pub no_spare_timeout: Option<u64>,
    /// Whether the breaker never opens for a number of units.
    pub is_unlimited: bool,
    /// One operation in so many is preceded by a message; 0 for none.
    pub messages: u64,
    /// One operation in so many is preceded by a suspend; 0 for none.
    pub suspends: u64,
    /// One commit in so many meets a spare that takes no write, or does not say so; 0 for none.
    pub lost_commits: u64,
    /// The same for checkpoints.
    pub lost_checkpoints: u64,
    /// One operation in so many is preceded by an empty commit; 0 for none.
    pub commits: u64,
    /// Whether main has copies of the metadata.
    pub on_main: bool,
    /// How many machines may have buffers at a time.
    pub buffers: usize,
    /// How many nodes the map has memory for.
    pub nodes: usize,
    /// How many more there are when machines wait for memory, and nothing else happens; 0 if they
    /// must never wait for more than what others give back.
    pub more_nodes: usize,
}

impl Config {
    /// Everything at once.
    pub const WILD: Self = Self {
        units: 24,
        spare_units: 20,
        operations: 2000,
        faults: 6,
        outages: 12,
        power_cuts: 60,
        no_spare_timeout: None,
        is_unlimited: false,
        messages: 10,
        suspends: 80,
        lost_commits: 0,
        lost_checkpoints: 0,
        commits: 0,
        on_main: false,
        buffers: 3,
        nodes: 1000,
        more_nodes: 0,
    };
    /// The same, with so little memory that machines wait for it.
    pub const STARVED: Self = Self {
        buffers: 1,
        nodes: 10,
        more_nodes: 8,
        ..Self::ROUGH
    };
    /// The same, with memory for the map and a few changes, and no more for ever.
    pub const RATIONED: Self = Self {
        nodes: 24,
        more_nodes: 0,
        ..Self::STARVED
    };
    /// The same, with few spare units, and writes that wait for them.
    pub const TIGHT: Self = Self {
        spare_units: 8,
        power_cuts: 200,
        no_spare_timeout: Some(1),
        messages: 3,
        ..Self::ROUGH
    };
    /// Disks that come and go, and many power cuts: commits of which nobody knows.
    pub const DYING: Self = Self {
        faults: 4,
        outages: 4,
        power_cuts: 20,
        lost_commits: 8,
        lost_checkpoints: 8,
        operations: 1000,
        is_unlimited: true,
        ..Self::WILD
    };
    /// Many commits without a checkpoint that somebody wants, so that one is due in the end, and a
    /// spare that takes no writes then.
    pub const LASTING: Self = Self {
        faults: 2,
        power_cuts: 0,
        lost_checkpoints: 2,
        commits: 1,
        messages: 0,
        suspends: 0,
        operations: 4000,
        ..Self::ROUGH
    };
    /// Healthy disks, whose few units are moved all the time while clients use them.
    pub const CROWDED: Self = Self {
        units: 3,
        power_cuts: 400,
        messages: 1,
        faults: 0,
        operations: 1000,
        ..Self::CALM
    };
    /// Disks that come and go, and main with copies of the metadata.
    pub const COPIED: Self = Self {
        on_main: true,
        lost_checkpoints: 40,
        ..Self::WILD
    };
    /// All in which clients are at work.
    pub const ALL: [(&'static str, Self); 10] = [
        ("calm", Self::CALM),
        ("crowded", Self::CROWDED),
        ("rough", Self::ROUGH),
        ("starved", Self::STARVED),
        ("rationed", Self::RATIONED),
        ("tight", Self::TIGHT),
        ("wild", Self::WILD),
        ("dying", Self::DYING),
        ("copied", Self::COPIED),
        ("lasting", Self::LASTING),
    ];
    /// Nothing but what a sequence says.
    pub const QUIET: Self = Self {
        units: 6,
        spare_units: 6,
        operations: 0,
        faults: 0,
        outages: 1,
        power_cuts: 0,
        no_spare_timeout: None,
        is_unlimited: true,
        messages: 0,
        suspends: 0,
        lost_commits: 0,
        lost_checkpoints: 0,
        commits: 0,
        on_main: false,
        buffers: 3,
        nodes: 200,
        more_nodes: 0,
    };
    /// Bad sectors of main and spare, and power cuts.
    pub const ROUGH: Self = Self {
        units: 24,
        spare_units: 40,
        operations: 1000,
        faults: 6,
        outages: 1 << 40,
        power_cuts: 60,
        no_spare_timeout: Some(5),
        is_unlimited: true,
        messages: 10,
        suspends: 80,
        lost_commits: 0,
        lost_checkpoints: 0,
        commits: 0,
        on_main: false,
        buffers: 3,
        nodes: 1000,
        more_nodes: 0,
    };
    /// Bad sectors of main alone, for which there are spare units: nothing that is written may
    /// fail.
    pub const CALM: Self = Self {
        units: 16,
        spare_units: 64,
        operations: 400,
        faults: 5,
        outages: 0,
        power_cuts: 0,
        no_spare_timeout: None,
        is_unlimited: true,
        messages: 10,
        suspends: 80,
        lost_commits: 0,
        lost_checkpoints: 0,
        commits: 0,
        on_main: false,
        buffers: 3,
        nodes: 1000,
        more_nodes: 0,
    };
}

/// What happened in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Client operations that ended.
    pub operations: u64,
    /// Those that failed.
    pub failed: u64,
    /// Writes among them.
    pub failed_writes: u64,
    /// Units that were relocated.
    pub relocated: u64,
    /// Units that were found unreadable.
    pub suspects: u64,
    /// Power cuts.
    pub power_cuts: u64,
    /// Commits and checkpoints.
    pub updates: u64,
    /// How often nothing could be committed any more.
    pub read_only: u64,
    /// How often the breaker opened.
    pub tripped: u64,
    /// How often machines waited for memory, and nothing else happened.
    pub shortages: u64,
    /// Events that were raised.
    pub events: u64,
    /// How often no spare unit was left.
    pub no_spare: u64,
    /// How much of the spare is used up, in per cent, as told last.
    pub level: u8,
}

impl Tally {
    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.operations += other.operations;
        self.failed += other.failed;
        self.failed_writes += other.failed_writes;
        self.relocated += other.relocated;
        self.suspects += other.suspects;
        self.power_cuts += other.power_cuts;
        self.updates += other.updates;
        self.read_only += other.read_only;
        self.tripped += other.tripped;
        self.shortages += other.shortages;
        self.events += other.events;
        self.no_spare += other.no_spare;
        self.level = self.level.max(other.level);
    }
}
