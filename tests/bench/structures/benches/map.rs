// SPDX-License-Identifier: GPL-2.0

//! Random searches and updates of the map, compared with structures of the standard library.

use criterion::{
    criterion_group,
    criterion_main,
    BenchmarkId,
    Criterion, //
};
use remap_core::{
    blocks::Blocks,
    geometry::{
        SpareUnit,
        Unit, //
    },
    index::{
        Entry,
        Gate,
        Index,
        Run,
        State, //
    }, //
};
use remap_host::Nodes;
use std::{
    collections::{
        BTreeMap,
        HashMap, //
    },
    hint::black_box, //
};

/// Every second unit has an entry. The units between them are misses.
const EVERY: u64 = 2;

fn entry(number: u64) -> Entry {
    Entry {
        gate: Gate::Open,
        state: State::Relocated {
            spare: SpareUnit(number),
            valid: Blocks::range(0..8),
        },
    }
}

fn index(count: u64) -> Index<Nodes> {
    let (mut map, mut run) = (Index::new(), Run::default());
    for number in 0..count {
        if run.is_full() {
            map = map
                .append(&mut Nodes, &mut run)
                .expect("memory for the map");
        }
        run.push(&mut Nodes, Unit(EVERY * number), entry(number))
            .expect("room in the run");
    }
    map.append(&mut Nodes, &mut run)
        .expect("memory for the map")
}

fn searches(criterion: &mut Criterion) {
    for count in [1000, 1_000_000] {
        let all = || (0..count).map(|number| (EVERY * number, entry(number)));
        let (ours, tree) = (index(count), all().collect::<BTreeMap<_, _>>());
        let (hashed, sorted) = (all().collect::<HashMap<_, _>>(), all().collect::<Vec<_>>());
        for (what, offset) in [("hit", 0), ("miss", 1)] {
            let mut group = criterion.benchmark_group(what);
            let mut rng = fastrand::Rng::with_seed(1);
            let mut unit = move || EVERY * rng.u64(0..count) + offset;
            group.bench_function(BenchmarkId::new("index", count), |bencher| {
                bencher.iter(|| black_box(ours.get(Unit(unit()))));
            });
            group.bench_function(BenchmarkId::new("BTreeMap", count), |bencher| {
                bencher.iter(|| black_box(tree.get(&unit())));
            });
            group.bench_function(BenchmarkId::new("HashMap", count), |bencher| {
                bencher.iter(|| black_box(hashed.get(&unit())));
            });
            group.bench_function(BenchmarkId::new("sorted array", count), |bencher| {
                bencher.iter(|| {
                    let unit = unit();
                    black_box(sorted.binary_search_by_key(&unit, |one| one.0))
                });
            });
        }
    }
}

/// Adds a unit by a copy of its path. The other structures would need a copy of the whole.
fn update(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one more");
    for count in [1000, 100_000, 1_000_000] {
        let ours = index(count);
        let mut rng = fastrand::Rng::with_seed(1);
        group.bench_function(BenchmarkId::new("index", count), |bencher| {
            bencher.iter(|| {
                let unit = Unit(EVERY * rng.u64(0..count) + 1);
                black_box(ours.with(&mut Nodes, unit, entry(0)).is_ok())
            });
        });
    }
}

criterion_group!(benches, searches, update);
criterion_main!(benches);
