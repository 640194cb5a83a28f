// SPDX-License-Identifier: GPL-2.0

//! Hours of a scan on a disk that others use, in no time: what it moves, and what it does not.

use super::{
    judge::{
        Judge,
        Sample, //
    },
    pace::Pace,
    planner::{
        Known,
        Planner, //
    }, //
};
use crate::geometry::Unit;
use crate::scan::health::Spot;
use core::ops::Range;
use std::collections::BTreeSet;

const UNITS: u64 = 16_384;
const BATCH: u64 = 64;
const UNIT_SECTORS: u64 = 8;
const UNIT_BYTES: u64 = 4096;
const HOUR: u64 = 3_600_000;
/// After how many milliseconds mq-deadline dispatches what has idle priority in any case.
const AGING: u64 = 10_000;

/// A range of numbers, each as likely.
type Span = (u64, u64);

struct Random(u64);

impl Random {
    fn of(&mut self, span: Span) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        span.0 + self.0 % (span.1 - span.0).max(1)
    }
}

/// What a disk is like, and what others do with it.
#[derive(Clone)]
struct Kind {
    /// How many milliseconds others ask at a stretch, and do not.
    busy: Span,
    idle: Span,
    /// How long what has normal priority waits for others while they ask.
    queue: Span,
    /// How many of a hundred times others begin to ask just when the scan does, having seen nobody.
    raced: u64,
    /// Units of which so many reads of a hundred take so long.
    weak: Vec<u64>,
    percent: u64,
    weak_for: Span,
    /// How long the disk does by itself what holds up all reads for so long each, and then does
    /// not.
    stalled: Span,
    between: Span,
    stall: Span,
    /// How many units that were read last the drive answers from its cache.
    cache: u64,
}

impl Kind {
    /// A healthy disk.
    fn healthy(busy: Span, idle: Span) -> Self {
        Self {
            busy,
            idle,
            queue: (0, 2500),
            raced: 0,
            weak: Vec::new(),
            percent: 100,
            weak_for: (600, 3000),
            stalled: (0, 0),
            between: (100 * HOUR, 101 * HOUR),
            stall: (0, 0),
            cache: 0,
        }
    }

    /// One that nobody else uses.
    fn alone() -> Self {
        Self::healthy((0, 1), (100 * HOUR, 101 * HOUR))
    }
}

/// What goes on and off, and does so next at `until`.
struct Phase {
    is_on: bool,
    until: u64,
    on: Span,
    off: Span,
    /// How often it went on.
    times: u64,
}

impl Phase {
    fn new(on: Span, off: Span) -> Self {
        Self {
            is_on: false,
            until: 0,
            on,
            off,
            times: 0,
        }
    }

    fn settle(&mut self, now: u64, random: &mut Random) {
        while now >= self.until {
            self.is_on = !self.is_on;
            self.times += u64::from(self.is_on);
            self.until += random.of(if self.is_on { self.on } else { self.off });
        }
    }
}

/// A disk behind mq-deadline.
struct Disk {
    kind: Kind,
    now: u64,
    others: Phase,
    itself: Phase,
    random: Random,
    /// How many units were read, and how many when each was read last.
    read: u64,
    last: Vec<Option<u64>>,
}

impl Disk {
    fn new(kind: Kind, seed: u64) -> Self {
        Self {
            now: 0,
            others: Phase::new(kind.busy, kind.idle),
            itself: Phase::new(kind.stalled, kind.between),
            random: Random(seed.wrapping_mul(88_172_645_463_325_252) | 1),
            read: 0,
            last: vec![None; UNITS as usize],
            kind,
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        self.others.settle(self.now, &mut self.random);
        self.itself.settle(self.now, &mut self.random);
    }

    /// How long a read takes once the disk is at it.
    fn service(&mut self, units: &Range<u64>) -> u64 {
        let missed = self.cached(units);
        if missed.is_empty() {
            return 1;
        }
        let mut took = 5 + (units.end - units.start) / 10;
        for _ in self.kind.weak.iter().filter(|unit| missed.contains(unit)) {
            if self.random.of((0, 100)) < self.kind.percent {
                took += self.random.of(self.kind.weak_for);
            }
        }
        if self.itself.is_on {
            took += self.random.of(self.kind.stall);
        }
        took
    }

    /// Has units in the cache from now on; those that were not.
    fn cached(&mut self, units: &Range<u64>) -> Vec<u64> {
        let (read, cache) = (self.read, self.kind.cache);
        self.read += units.end - units.start;
        let missed = units.clone().filter(|&unit| {
            let last = self.last[unit as usize].replace(self.read);
            last.is_none_or(|last| read - last >= cache)
        });
        missed.collect()
    }

    fn read(&mut self, units: &Range<u64>, is_idle: bool) -> Sample {
        let (begun, times) = (self.now, self.others.times);
        if !self.others.is_on && self.random.of((0, 100)) < self.kind.raced {
            self.others.until = begun;
            self.pass(0);
        }
        let was_busy = self.others.is_on;
        if was_busy && is_idle {
            self.pass((self.others.until - begun).min(AGING));
        } else if was_busy {
            let queue = self.random.of(self.kind.queue);
            self.pass(queue);
        }
        let service = self.service(units);
        self.pass(service);
        Sample {
            milliseconds: self.now - begun,
            others: u64::from(was_busy) + self.others.times - times,
        }
    }
}

/// Nothing is known of the disk before.
struct Nothing;

impl Known for Nothing {
    fn failed(&self, _: Unit) -> Option<Unit> {
        None
    }

    fn weak(&self, _: Option<Spot>) -> Option<(Spot, Range<u64>)> {
        None
    }
}

/// What so many hours of one pass after the other move.
fn moved(kind: &Kind, hours: u64, seed: u64) -> BTreeSet<u64> {
    scanned(kind, hours, seed).0
}

/// The same, and how many passes there are.
fn scanned(kind: &Kind, hours: u64, seed: u64) -> (BTreeSet<u64>, u64) {
    let (mut passes, mut waits) = (0, 0);
    let mut disk = Disk::new(kind.clone(), seed);
    let mut judge = Judge::new(UNITS, UNIT_SECTORS, BATCH);
    let mut planner = Planner::new(UNITS, UNIT_SECTORS, 0);
    let mut pace = Pace::new(4 << 20);
    let mut moved = BTreeSet::new();
    disk.pass(0);
    while disk.now < hours * HOUR {
        let (begun, mut bytes) = (disk.now, 0);
        let left_out = |units: Range<u64>| moved.range(units).next().copied().map(Unit);
        let is_quiet = !disk.others.is_on;
        let ask = if is_quiet { judge.next(left_out) } else { None };
        let planned = match ask {
            Some(_) => None,
            None => planner.next(BATCH, &Nothing),
        };
        let fills = ask.is_none() && planned.is_none() && is_quiet;
        let fill = if fills { judge.fill() } else { None };
        if let Some(ask) = ask {
            let units = ask.units();
            let sample = disk.read(&units, false);
            bytes += (units.end - units.start) * UNIT_BYTES;
            if let Some(unit) = judge.measured(sample) {
                assert!(moved.insert(unit.0));
            }
        } else if let Some(units) = planned.or(fill) {
            let mut at = units.start;
            while at < units.end {
                let end = left_out(at..units.end).map_or(units.end, |unit| unit.0);
                if at < end {
                    judge.passed(at..end, disk.read(&(at..end), true));
                    bytes += (end - at) * UNIT_BYTES;
                }
                at = end + 1;
            }
        } else if judge.is_done() || judge.gives_up() {
            planner.begin();
            judge.begin();
            passes += 1;
        } else {
            disk.pass(1000);
            // As if it had waited for long enough.
            waits += 1;
            if waits % 600 == 0 {
                planner.begin();
                judge.begin();
                passes += 1;
            }
        }
        pace.adapt(u64::from(disk.others.is_on));
        let pause = pace.pause(bytes, disk.now - begun);
        disk.pass(pause.max(1));
    }
    (moved, passes)
}

/// How others use a disk: for how long at a stretch, and how long not.
const PATTERNS: [(Span, Span); 7] = [
    ((500, 3000), (100, 2000)),
    ((1000, 30_000), (500, 10_000)),
    ((5000, 120_000), (1000, 60_000)),
    ((100, 1000), (10, 500)),
    // A journal that is written each five seconds, and a server by day.
    ((300, 900), (4000, 5000)),
    ((600_000, 3_600_000), (5000, 600_000)),
    ((HOUR, 2 * HOUR), (10, 100)),
];

/// Of drives that have no cache, and one that is as large as a scan allows for.
const CACHES: [u64; 2] = [0, UNITS / 16 - BATCH];

#[test]
fn no_unit_of_a_healthy_disk_is_moved_however_busy_it_is() {
    for (at, (busy, idle)) in PATTERNS.into_iter().enumerate() {
        for (seed, queue) in [(0, 10), (800, 3000), (0, 30_000)].into_iter().enumerate() {
            let mut kind = Kind::healthy(busy, idle);
            kind.queue = queue;
            kind.raced = 25 * seed as u64;
            kind.cache = CACHES[at % 2];
            let moved = moved(&kind, 24, (at * 10 + seed) as u64);
            assert!(
                moved.is_empty(),
                "{busy:?} {idle:?} {queue:?}: {}",
                moved.len()
            );
        }
    }
}

#[test]
fn all_weak_units_are_moved_where_there_are_quiet_moments() {
    let weak: Vec<_> = (0..12)
        .map(|n| n * 1357 + 5)
        .chain([700, 701, 16_383])
        .collect();
    let mut kinds = vec![(Kind::alone(), 2), (Kind::alone(), 6)];
    kinds[1].0.percent = 60;
    for at in [1, 2, 4, 5] {
        let (busy, idle) = PATTERNS[at];
        for percent in [100, 60] {
            let mut kind = Kind::healthy(busy, idle);
            kind.percent = percent;
            kinds.push((kind, 36));
        }
    }
    let kinds = CACHES
        .iter()
        .flat_map(|cache| kinds.iter().map(move |kind| (cache, kind)));
    for (seed, (&cache, (kind, hours))) in kinds.enumerate() {
        let (mut kind, hours) = (kind.clone(), *hours);
        kind.cache = cache;
        kind.weak.clone_from(&weak);
        let moved = moved(&kind, hours, seed as u64 + 77);
        let weak = BTreeSet::from_iter(weak.iter().copied());
        let wrong: Vec<_> = moved.symmetric_difference(&weak).take(5).collect();
        assert!(
            wrong.is_empty(),
            "{:?} {} {cache}: {wrong:?}",
            kind.busy,
            kind.percent
        );
    }
}

/// Nothing can be said of units that take longer than others leave the disk alone; the pass goes
/// on.
#[test]
fn a_pass_goes_on_where_there_are_no_quiet_moments() {
    for kind in [
        Kind::healthy((5, 50), (200, 500)),
        Kind::healthy((100, 1000), (10, 500)),
    ] {
        let weak = vec![5, 100, 9000];
        let (moved, passes) = scanned(&Kind { weak, ..kind }, 24, 4711);
        assert!(moved.is_empty());
        assert!(passes > 20, "{passes}");
    }
}

#[test]
fn no_unit_of_a_disk_that_is_slow_as_a_whole_is_moved() {
    let always = (100 * HOUR, 101 * HOUR);
    let cases = [
        // From some time on, for half of the time, and for moments.
        (always, (HOUR, 2 * HOUR), (1000, 4000)),
        ((10_000, 120_000), (10_000, 120_000), (600, 3000)),
        ((1000, 5000), (1000, 60_000), (600, 2000)),
        ((100, 1000), (5000, 20_000), (600, 1000)),
    ];
    for (seed, (stalled, between, stall)) in cases.into_iter().enumerate() {
        for mut kind in [Kind::alone(), Kind::healthy((300, 900), (4000, 5000))] {
            (kind.stalled, kind.between, kind.stall) = (stalled, between, stall);
            let moved = moved(&kind, 24, seed as u64 + 1000);
            assert!(moved.is_empty(), "{stalled:?} {between:?}: {}", moved.len());
        }
    }
}
