// SPDX-License-Identifier: GPL-2.0

//! What a judge asks for, and what it takes for weak.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const UNITS: u64 = 100_000;
const UNIT_SECTORS: u64 = 8;
const REST: u64 = UNITS / REST_PART;
const QUIET: u64 = 0;

fn sample(milliseconds: u64, others: u64) -> Sample {
    Sample {
        milliseconds,
        others,
    }
}

/// One that knows what is usual, and doubts some units.
fn doubting(units: Range<u64>) -> Judge {
    let mut judge = Judge::new(UNITS, UNIT_SECTORS, 64);
    for at in 0..50 {
        judge.passed(at * 64..at * 64 + 64, sample(10, QUIET));
    }
    judge.singles.learn(10);
    judge.passed(units, sample(9000, 1));
    judge
}

fn all(_: Range<u64>) -> Option<Unit> {
    None
}

/// The pass reads something else until so many units were read.
fn pass_until(judge: &mut Judge, read: u64) {
    while judge.read < read {
        judge.passed(9000..9064, sample(10, QUIET));
    }
}

/// What is asked for after a rest.
fn next(judge: &mut Judge) -> Option<Ask> {
    judge.begin();
    while let Some(units) = judge.fill() {
        judge.passed(units, sample(10, QUIET));
    }
    judge.next(all)
}

/// Reads all that is asked for until nothing is doubtful, or `most` times, and something else
/// while that rests; the weak units. `read` says how long it took and what others did.
fn judged(judge: &mut Judge, most: usize, mut read: impl FnMut(&Ask) -> (u64, u64)) -> Vec<u64> {
    let mut weak = Vec::new();
    for _ in 0..most {
        if judge.is_done() {
            break;
        }
        let Some(ask) = next(judge) else {
            continue;
        };
        let (milliseconds, others) = read(&ask);
        weak.extend(judge.measured(sample(milliseconds, others)).map(|u| u.0));
    }
    weak
}

#[test]
fn a_slow_read_at_idle_priority_is_no_more_than_a_doubt() {
    let mut judge = doubting(640..704);
    let mut asked = Vec::new();
    let weak = judged(&mut judge, 1000, |ask| {
        asked.push(ask.clone());
        (10, QUIET)
    });
    assert!(weak.is_empty() && judge.is_done());
    assert_eq!(asked, [Ask::Doubtful(640..704)]);
}

#[test]
fn what_is_doubtful_rests_before_each_look() {
    let mut judge = doubting(640..704);
    let mut last = vec![None; UNITS as usize];
    last[640..704].fill(Some(judge.read));
    let (mut weak, mut looks) = (Vec::new(), 0);
    while !judge.is_done() {
        let Some(ask) = judge.next(all) else {
            judge.begin();
            let fill = judge.fill().expect("nothing is due");
            assert!(fill.end <= 640 || fill.start >= 704);
            judge.passed(fill, sample(10, QUIET));
            continue;
        };
        let units = ask.units();
        if matches!(ask, Ask::Doubtful(_)) {
            looks += 1;
            for unit in units.clone() {
                assert!(last[unit as usize].is_none_or(|last| judge.read - last >= REST));
            }
        }
        let is_slow = units.contains(&650) || units.contains(&690);
        let found = judge.measured(sample(if is_slow { 900 } else { 10 }, QUIET));
        weak.extend(found.map(|unit| unit.0));
        if matches!(ask, Ask::Doubtful(_)) {
            last[units.start as usize..units.end as usize].fill(Some(judge.read));
        }
    }
    weak.sort_unstable();
    assert_eq!(weak, [650, 690]);
    assert!(looks < 60, "{looks}");
    // One rest may serve many looks.
    assert!(judge.read < 20 * REST, "{}", judge.read);
}

#[test]
fn what_the_pass_reads_again_rests_anew() {
    let mut judge = doubting(640..704);
    let begun = judge.read;
    pass_until(&mut judge, begun + REST - 64);
    judge.passed(700..764, sample(10, QUIET));
    let again = judge.read;
    while judge.read < again + REST {
        // All but the units that were read again may be looked at.
        if let Some(ask) = judge.next(all) {
            assert_eq!(ask, Ask::Doubtful(640..704));
            judge.measured(sample(10, QUIET));
        }
        judge.passed(9000..9064, sample(10, QUIET));
    }
    assert_eq!(judge.next(all), Some(Ask::Doubtful(700..764)));
    judge.measured(sample(10, QUIET));
    assert!(judge.is_done());
}

#[test]
fn halves_that_the_pass_reads_again_rest_anew_and_what_is_beside_that_does_not() {
    let mut judge = doubting(640..704);
    for milliseconds in [700, 10] {
        assert!(next(&mut judge).is_some());
        judge.measured(sample(milliseconds, QUIET));
    }
    // The halves rest since the same time.
    let begun = judge.read;
    pass_until(&mut judge, begun + REST / 2);
    judge.passed(608..640, sample(10, QUIET));
    judge.passed(672..680, sample(10, QUIET));
    let again = judge.read;
    pass_until(&mut judge, begun + REST);
    assert_eq!(judge.next(all), Some(Ask::Doubtful(640..672)));
    judge.drop_piece();
    assert_eq!(judge.next(all), None);
    pass_until(&mut judge, again + REST);
    assert_eq!(judge.next(all), Some(Ask::Doubtful(672..704)));
}

#[test]
fn what_becomes_doubtful_while_other_units_rest_is_looked_at_after_them() {
    let mut judge = doubting(640..704);
    judge.passed(1280..1344, sample(9000, 1));
    let mut asked = Vec::new();
    judged(&mut judge, 1000, |ask| {
        asked.push(ask.clone());
        (10, QUIET)
    });
    assert_eq!(asked, [640..704, 1280..1344].map(Ask::Doubtful));
}

#[test]
fn what_is_dropped_is_not_asked_for_again() {
    for controls in [false, true] {
        let mut judge = doubting(640..704);
        assert_eq!(next(&mut judge), Some(Ask::Doubtful(640..704)));
        if controls {
            judge.measured(sample(700, QUIET));
            assert!(matches!(judge.next(all), Some(Ask::Control(_))));
        }
        judge.drop_piece();
        assert!(judge.is_done());
        // Nor is anything else compared with a control because of it.
        judge.doubt(1280..1344);
        assert_eq!(next(&mut judge), Some(Ask::Doubtful(1280..1344)));
    }
}

#[test]
fn a_pass_does_not_read_for_a_rest_without_end() {
    let mut judge = doubting(640..704);
    let mut fills = 0;
    while !judge.gives_up() {
        match judge.fill() {
            Some(units) => {
                fills += 1;
                judge.passed(units, sample(10, QUIET));
            }
            None => {
                // It is always read in vain.
                judge.next(all);
                judge.measured(sample(9000, 1));
            }
        }
    }
    // A batch of 64 units goes without a remainder into what the pass may read.
    assert!(!judge.is_done());
    assert_eq!(fills * 64, RESTS * REST);
    // It is not forgotten.
    assert_eq!(next(&mut judge), None);
    assert_eq!(next(&mut judge), Some(Ask::Doubtful(640..704)));
}

#[test]
fn a_disk_of_a_few_batches_has_no_rest() {
    let mut judge = Judge::new(1000, UNIT_SECTORS, 64);
    judge.passed(0..64, sample(9000, 0));
    assert_eq!(judge.next(all), Some(Ask::Doubtful(0..64)));
    assert!(!judge.gives_up() && judge.fill().is_none());
}

#[test]
fn a_unit_that_is_slow_while_all_is_quiet_is_weak() {
    let mut judge = doubting(640..704);
    let weak = judged(&mut judge, 1000, |ask| match ask {
        Ask::Doubtful(units) if units.contains(&700) => (700, QUIET),
        _ => (10, QUIET),
    });
    assert_eq!(weak, [700]);
    assert!(judge.is_done());
}

#[test]
fn halves_are_well_when_they_were_quick_twice() {
    let mut judge = doubting(640..704);
    let mut looks = Vec::new();
    let weak = judged(&mut judge, 1000, |ask| {
        let Ask::Doubtful(units) = ask else {
            return (10, QUIET);
        };
        looks.push(units.clone());
        (if looks.len() == 1 { 700 } else { 10 }, QUIET)
    });
    assert!(weak.is_empty() && judge.is_done());
    assert_eq!(looks, [640..704, 640..672, 672..704, 640..672, 672..704]);
}

#[test]
fn all_weak_units_of_a_batch_are_found() {
    let mut judge = doubting(640..704);
    let bad = [640, 641, 660, 703];
    let mut weak = judged(&mut judge, 10_000, |ask| {
        let is_slow = bad.iter().any(|unit| ask.units().contains(unit));
        (if is_slow { 2000 } else { 10 }, QUIET)
    });
    weak.sort_unstable();
    assert_eq!(weak, bad);
}

#[test]
fn what_is_slow_while_others_use_the_disk_says_nothing() {
    let mut judge = doubting(640..704);
    assert!(judged(&mut judge, 1000, |_| (5000, 1)).is_empty());
    // It is not forgotten, and the pass goes on meanwhile.
    assert!(!judge.is_done());
    let asked = [next(&mut judge), next(&mut judge)];
    assert!(asked.contains(&Some(Ask::Doubtful(640..704))));
    judge.measured(sample(5000, 1));
    assert_eq!(next(&mut judge), None);
    // Nor did it become usual.
    let weak = judged(&mut judge, 1000, |ask| {
        (if ask.units().contains(&650) { 600 } else { 10 }, QUIET)
    });
    assert_eq!(weak, [650]);
}

#[test]
fn what_is_quick_enough_while_others_use_the_disk_does_not_become_usual() {
    let mut judge = doubting(640..704);
    judged(&mut judge, 1000, |_| (10, QUIET));
    for _ in 0..100 {
        judge.passed(9000..9064, sample(490, 1));
    }
    assert!(judge.is_done());
    judge.passed(640..704, sample(700, QUIET));
    assert!(!judge.is_done());
}

#[test]
fn looks_at_a_half_while_others_use_the_disk_leave_what_was_known_of_it() {
    let mut judge = doubting(640..642);
    let (mut quiet, mut others) = (0, 0);
    let weak = judged(&mut judge, 1000, |ask| match ask {
        Ask::Doubtful(units) if *units == (640..641) => {
            others = 1 - others;
            quiet += 1 - others;
            (700, others)
        }
        Ask::Doubtful(units) if *units == (640..642) => (700, QUIET),
        _ => (10, QUIET),
    });
    assert_eq!(weak, [640]);
    assert_eq!(quiet, u64::from(SLOW));
}

#[test]
fn units_that_others_hold_up_take_no_room_from_halves() {
    let batches = 2 * PIECES as u64;
    let mut judge = doubting(0..batches * 64);
    let last = (batches - 1) * 64..batches * 64;
    let bad = last.start + 7;
    let weak = judged(&mut judge, 5000, |ask| match ask {
        Ask::Doubtful(units) if !last.contains(&units.start) => (5000, 1),
        Ask::Doubtful(units) if units.contains(&bad) => (700, QUIET),
        _ => (10, QUIET),
    });
    assert_eq!(weak, [bad]);
}

#[test]
fn a_disk_that_is_slow_as_a_whole_has_no_weak_units() {
    let mut judge = doubting(640..704);
    let weak = judged(&mut judge, 1000, |_| (3000, QUIET));
    assert!(weak.is_empty() && judge.is_done());
}

/// What holds the disk up for moments holds up all of it.
#[test]
fn a_unit_is_not_weak_when_those_far_away_are_as_slow() {
    let mut judge = doubting(640..641);
    let mut controls = 0;
    for _ in 0..40 {
        // What is usual stays so.
        (0..50).for_each(|_| judge.singles.learn(10));
        if let Some(ask) = next(&mut judge) {
            controls += u32::from(matches!(ask, Ask::Control(_)));
            assert_eq!(judge.measured(sample(3000, QUIET)), None);
        }
    }
    assert!(controls > 5, "{controls}");
}

#[test]
fn what_is_left_out_is_not_asked_for() {
    let mut judge = doubting(640..704);
    let out = |units: Range<u64>| {
        let first = units.clone().find(|unit| unit % 3 == 0);
        first.map(Unit)
    };
    let mut asked = Vec::new();
    for _ in 0..10 * REST / 64 {
        judge.passed(0..64, sample(10, QUIET));
        let Some(ask) = judge.next(out) else {
            continue;
        };
        assert!(ask.units().all(|unit| unit % 3 != 0));
        asked.extend(ask.units());
        judge.measured(sample(10, QUIET));
    }
    asked.dedup();
    let wanted = (640..704).filter(|unit| unit % 3 != 0);
    assert_eq!(asked.iter().collect::<BTreeSet<_>>().len(), wanted.count());
}

#[test]
fn controls_are_far_away_and_differ() {
    let mut judge = doubting(0..64);
    let mut seen = BTreeSet::new();
    judged(&mut judge, 100, |ask| match ask {
        Ask::Control(units) => {
            assert!(units.start >= UNITS / 4 && units.end <= UNITS * 3 / 4 + 1);
            seen.insert(units.start);
            (10, QUIET)
        }
        Ask::Doubtful(_) => (700, QUIET),
    });
    assert!(seen.len() > 40);
    // A disk of one unit has none, and nothing is weak compared with itself.
    let mut judge = Judge::new(1, UNIT_SECTORS, 64);
    judge.passed(0..1, sample(9000, 0));
    assert!(judged(&mut judge, 100, |_| (9000, QUIET)).is_empty());
}

proptest! {
    #[test]
    fn it_asks_for_units_that_there_are_and_ends_when_they_are_quick(
        units in 1u64..300,
        batch in 1u64..65,
        passed in prop::collection::vec((0u64..300, 1u64..65, prop::bool::ANY), 0..40),
        out in prop::collection::btree_set(0u64..300, 0..40),
        reads in prop::collection::vec((prop::sample::select(vec![0, 10, 499, 500, 3000, u64::MAX]), 0u64..2), 0..300),
    ) {
        let mut judge = Judge::new(units, UNIT_SECTORS, batch);
        let left_out = |range: Range<u64>| out.range(range).next().copied().map(Unit);
        for (start, len, is_quiet) in passed {
            let start = start % units;
            let end = (start + len.min(batch)).min(units);
            judge.passed(start..end, sample(3000, u64::from(!is_quiet)));
        }
        let mut weak = BTreeSet::new();
        let mut reads = reads.into_iter();
        for _ in 0..10_000 {
            if judge.is_done() {
                break;
            }
            judge.begin();
            while let Some(fill) = judge.fill() {
                prop_assert!(fill.start < fill.end && fill.end <= units && fill.end - fill.start <= batch);
                judge.passed(fill, sample(10, QUIET));
            }
            let Some(ask) = judge.next(left_out) else {
                continue;
            };
            let asked = ask.units();
            prop_assert!(asked.start < asked.end && asked.end <= units && asked.end - asked.start <= batch);
            prop_assert!(left_out(asked.clone()).is_none());
            let (milliseconds, others) = reads.next().unwrap_or((10, QUIET));
            if let Some(unit) = judge.measured(sample(milliseconds, others)) {
                weak.insert(unit.0);
            }
        }
        prop_assert!(judge.is_done());
        prop_assert!(weak.iter().all(|&unit| unit < units && !out.contains(&unit)));
    }
}
