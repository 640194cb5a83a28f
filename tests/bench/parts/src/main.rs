// SPDX-License-Identifier: GPL-2.0

//! The cost of spare units and of an update of the map, in nanoseconds of a clock that counts
//! instructions, one a nanosecond (QEMU's `-icount shift=0`). Prints lines `part NAME COST`, each
//! with the minimum of many measurements.

use remap_core::blocks::Blocks;
use remap_core::geometry::{
    SpareUnit,
    Unit, //
};
use remap_core::index::{
    Entry,
    Gate,
    Index,
    State, //
};
use remap_core::magazines::{
    Magazine,
    Magazines,
    FILL, //
};
use remap_core::spares::{
    words_for,
    Spares, //
};
use remap_host::Nodes;
use std::hint::black_box;
use std::time::Instant;

const SPARE_UNITS: u64 = 1 << 21;
const CPUS: usize = 4;

/// The duration and the result of `work`.
fn timed<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let begun = Instant::now();
    let given = black_box(work());
    let nanoseconds = begun.elapsed().as_nanos();
    (
        u64::try_from(nanoseconds).expect("less than centuries"),
        given,
    )
}

/// The cost of reading the clock.
fn clock() -> u64 {
    let costs = (0..100).map(|_| timed(|| ()).0);
    costs.min().expect("at least one cost")
}

/// The cost of a hit, and of a request that first refills a magazine.
fn spares(clock: u64) -> (u64, u64) {
    let words = vec![0; words_for(SPARE_UNITS) as usize];
    let mut spares =
        Spares::new(words.clone(), words, SPARE_UNITS).expect("bitmaps of the right size");
    let mut magazines = Magazines::new(vec![Magazine::EMPTY; CPUS]);
    let (mut hit, mut refill) = (u64::MAX, u64::MAX);
    for round in 0..1000 {
        for request in 0..FILL {
            let take = || magazines.take(black_box(round % CPUS), None, &mut spares);
            let (cost, unit) = timed(take);
            assert!(unit.is_some());
            let least = match request {
                0 => &mut refill,
                _ => &mut hit,
            };
            *least = (*least).min(cost - clock);
        }
    }
    let used = magazines.used();
    println!(
        "part misses_in_1000 {}",
        used.misses * 1000 / (used.hits + used.misses)
    );
    (hit, refill)
}

/// The cost of one more entry among `count`, in the three maps of the repair, which share most
/// nodes.
fn update(clock: u64, count: u64) -> u64 {
    let entry = |spare| Entry {
        gate: Gate::Open,
        state: State::Relocated {
            spare: SpareUnit(spare),
            valid: Blocks::range(0..8),
        },
    };
    let mut map = Index::new();
    for at in 0..count {
        map = map
            .with(&mut Nodes, Unit(2 * at), entry(at))
            .expect("memory for the map");
    }
    let mut costs: Vec<u64> = (0..1000)
        .map(|_| {
            let unit = Unit(2 * fastrand::u64(..count) + 1);
            let set = |map: &Index<Nodes>| {
                map.with(&mut Nodes, unit, entry(0))
                    .expect("memory for the map")
            };
            timed(|| [set(&map), set(&map), set(&map)]).0 - clock
        })
        .collect();
    costs.sort_unstable();
    costs[costs.len() / 2]
}

fn main() {
    fastrand::seed(1);
    let clock = clock();
    let (hit, refill) = spares(clock);
    println!("part magazine_hit {hit}");
    println!("part magazine_refill {refill}");
    println!("part update_at_100000 {}", update(clock, 100_000));
}
