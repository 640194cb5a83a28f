// SPDX-License-Identifier: GPL-2.0

//! What the engine keeps, counts and tells.

use super::*;

/// An event is due for all that is said, and for nothing else.
#[test]
fn events_are_for_what_changed() {
    let mut world = quiet();
    let mut is_due = |change: &mut dyn FnMut(&mut World)| {
        world.engine.take_notices();
        change(&mut world);
        world.engine.take_notices().is_event_due()
    };
    assert!(!is_due(&mut |_| ()));
    assert!(is_due(&mut |world| assert!(world
        .engine
        .suspect(Unit(1), 8))));
    assert!(is_due(&mut |world| assert!(world
        .engine
        .clear_suspect(Unit(1)))));
    assert!(is_due(&mut |world| world.engine.note_change()));
    assert!(is_due(&mut |world| world.engine.set_short(true)));
    assert!(!is_due(&mut |world| world.engine.set_short(true)));
    assert!(is_due(&mut |world| world.engine.set_short(false)));
    assert!(!is_due(&mut |world| assert!(!world.engine.rearm())));
    is_due(&mut |world| world.open_breaker());
    assert!(is_due(&mut |world| assert!(world.engine.rearm())));
}

/// Each reason is told from the others.
#[test]
fn each_obstacle_has_its_words() {
    let all = [
        Obstacle::Changed,
        Obstacle::NoSpare,
        Obstacle::NoMemory,
        Obstacle::ReadOnly,
        Obstacle::Tripped,
        Obstacle::Unreadable,
        Obstacle::Away,
        Obstacle::Io(Status::Medium),
        Obstacle::Suspended,
    ];
    let words: BTreeSet<_> = all.iter().map(|why| why.reason()).collect();
    assert_eq!(words.len(), all.len());
    assert!(words.iter().all(|why| why.contains(' ')));
}

/// Whoever may be woken is, and nobody else.
#[test]
fn wakes_are_for_those_who_wait() {
    let mut world = quiet();
    world.engine.take_wakes();
    assert!(world.engine.take_wakes().is_empty());
    world.engine.set_suspended(true);
    let wakes = world.engine.take_wakes();
    assert!(!wakes.is_empty() && wakes.wakes(Key::Spare) && !wakes.wakes(Key::Probe));
    // More than are remembered.
    world.engine.set_suspended(false);
    for unit in 0..6 {
        let mut own = relocation(unit, MESSAGE);
        own.step(&mut world.engine, Event::Begin, 1);
        own.step(&mut world.engine, Event::Quiesced, 1);
        while world.engine.claimed() > 0 {
            own.step(&mut world.engine, Event::Io(Err(Status::Transport)), 1);
        }
    }
    world.engine.note_memory();
    let wakes = world.engine.take_wakes();
    assert!(!wakes.is_empty() && wakes.wakes(Key::Probe));
}

/// The units that changed are known until the map is published, each once.
#[test]
fn what_changed_is_known_until_it_is_published() {
    let mut world = quiet();
    let publish = |world: &mut World, works: bool| {
        let mut changed = None;
        world.engine.publish(|publication, _| {
            changed = publication.changed.map(<[Unit]>::to_vec);
            works
        });
        changed
    };
    publish(&mut world, true);
    let one = Some(vec![Unit(1)]);
    for _ in 0..3 {
        assert!(world.engine.suspect(Unit(1), 8));
        assert!(world.engine.clear_suspect(Unit(1)));
    }
    assert_eq!(publish(&mut world, false), one);
    assert_eq!(publish(&mut world, true), one);
    // More than are remembered.
    for unit in 0..6 {
        assert!(world.engine.suspect(Unit(unit), unit * UNIT));
    }
    assert_eq!(publish(&mut world, false), None);
    assert_eq!(publish(&mut world, true), None);
    assert!(world.engine.clear_suspect(Unit(2)));
    assert_eq!(publish(&mut world, true), Some(vec![Unit(2)]));
}

/// Memory is promised for two updates of each unit that moves.
#[test]
fn claims_hold_memory() {
    let mut world = quiet();
    for unit in 0..3 {
        world.begin(unit, MESSAGE);
        assert_eq!(world.engine.promised() as u64, 2 * (unit + 1));
    }
}

/// A unit becomes no suspect where it moves, nothing is moved, or memory is short.
#[test]
fn suspects_are_noted_where_that_helps() {
    let mut world = quiet();
    world.begin(1, MESSAGE);
    assert!(!world.engine.suspect(Unit(1), 8));
    world.engine.set_short(true);
    assert!(world.engine.is_short() && !world.engine.suspect(Unit(2), 16));
    world.engine.set_short(false);
    assert!(!world.engine.is_short());
    assert!(world.engine.suspect(Unit(2), 16));
    assert!(!world.engine.suspect(Unit(2), 16));
    let mut world = quiet();
    world.open_breaker();
    assert!(!world.engine.suspect(Unit(3), 24));
}

/// How much of the spare is used up is told when it rises, and that none is left is counted.
#[test]
fn levels_are_told_when_they_rise() {
    let mut world = world(Config {
        spare_units: 5,
        ..Config::QUIET
    });
    world.relocate(0..3);
    assert_eq!((world.tally.level, world.tally.no_spare), (0, 0));
    world.relocate(3..4);
    assert_eq!((world.tally.level, world.tally.no_spare), (80, 0));
    world.relocate(4..5);
    assert_eq!((world.tally.level, world.tally.no_spare), (100, 0));
    world.relocate(5..6);
    assert_eq!((world.tally.level, world.tally.no_spare), (100, 1));
}

/// A commit changes what an administrator sees; a checkpoint does not.
#[test]
fn a_checkpoint_is_no_event() {
    let mut world = quiet();
    let events = |world: &mut World, act| {
        let before = world.tally.events;
        world.act(act).expect("no lie");
        world.drain().expect("no lie");
        world.tally.events - before
    };
    assert_eq!(events(&mut world, Act::Checkpoint), 0);
    assert_eq!(events(&mut world, Act::Commit), 1);
}

/// A spare unit of which a region says that it is in use is not used before that has all commits.
#[test]
fn spare_units_are_withheld_from_regions_that_are_behind() {
    let mut world = quiet();
    let run = |world: &mut World, act| {
        world.act(act).expect("no lie");
        world.drain().expect("no lie");
    };
    run(&mut world, Act::Relocate);
    run(&mut world, Act::LoseRegion);
    run(&mut world, Act::Commit);
    run(&mut world, Act::Unrelocate);
    assert_eq!(world.engine.withheld(), 1);
    run(&mut world, Act::Commit);
    assert_eq!(world.engine.withheld(), 1);
    run(&mut world, Act::RegionReturns);
    assert_eq!(world.engine.withheld(), 0);
}

/// What no commit was begun for is as it was if none can be made.
#[test]
fn what_was_only_staged_is_as_it_was() {
    let mut world = quiet();
    let mut own = relocation(1, MESSAGE);
    own.step(&mut world.engine, Event::Begin, 1);
    for event in [Event::Quiesced, DONE] {
        own.step(&mut world.engine, event, 1);
    }
    let end = own.step(&mut world.engine, DONE, 1);
    assert!(
        matches!(end, Turn::Ended(Outcome::Staged { .. })),
        "{end:?}"
    );
    world.engine.set_writable(false);
    world.engine.hasten();
    assert!(!world.engine.begin_update(Standing::default()));
    assert_eq!(world.engine.map().get(Unit(1)), None);
    assert_eq!(world.engine.claimed(), 0);
}

/// What is on the spare, and what is lost, is counted.
#[test]
fn units_are_counted() {
    let mut world = quiet();
    world.relocate(0..2);
    assert!(world.engine.suspect(Unit(3), 24));
    world.main.set_fault(34, Some(Fault::Dead));
    world.oracle.may_fail(&(34..35));
    world.act(Act::Relocate).expect("no lie");
    let cause = Cause::Message { is_lossy: true };
    world.spawn(Machine::Relocation(relocation(4, cause)), 0);
    world.drain().expect("no lie");
    let engine = &world.engine;
    assert_eq!((engine.relocated(), engine.used_spares()), (3, 3));
    assert_eq!((engine.free_spares(), engine.suspects()), (3, 1));
    assert_eq!(engine.lost_blocks(), 1);
}

/// What is noted of a unit takes no memory that is promised to another.
#[test]
fn suspects_leave_promised_memory_alone() {
    let keeps = |world: &World| {
        let engine = &world.engine;
        assert!(engine.nodes.covers(engine.map(), engine.promised()));
    };
    let (mut noted, mut cleared) = (0, 0);
    for nodes in 0..40 {
        let config = Config {
            nodes,
            ..Config::QUIET
        };
        let quiesce = Turn::Act(Action::Quiesce);
        let mut one = world(config);
        let has_begun = one.begin(0, MESSAGE) == quiesce;
        // Nodes of a map that is published come back later.
        let published = one.engine.map().clone();
        if has_begun && one.engine.suspect(Unit(5), 40) {
            keeps(&one);
            noted += 1;
        }
        let mut other = world(config);
        let is_noted = other.engine.suspect(Unit(5), 40);
        let has_begun = is_noted && other.begin(0, MESSAGE) == quiesce;
        let published = (published, other.engine.map().clone());
        if has_begun && other.engine.clear_suspect(Unit(5)) {
            keeps(&other);
            cleared += 1;
        }
        drop(published);
    }
    assert!(noted > 0 && cleared > 0);
}
