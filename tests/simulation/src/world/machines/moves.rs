// SPDX-License-Identifier: GPL-2.0

//! Units that move, and the breaker.

use super::*;

/// What administrators ask for is not counted as failures, and does not wait for those.
#[test]
fn messages_do_not_wait_for_the_breaker() {
    let mut world = quiet();
    let limit = Limit::new(1, 86_400).expect("a limit");
    let policy = Policy::Main;
    world.engine.configure(limit, Budget::Usual, policy);
    let quiesce = Turn::Act(Action::Quiesce);
    assert_eq!(world.begin(0, MESSAGE), quiesce);
    assert_eq!(world.begin(1, MESSAGE), quiesce);
    assert_eq!(world.begin(2, WRITE), quiesce);
    // Two that count may be one too many.
    assert_eq!(world.begin(3, WRITE), waits(Key::Room));
    assert_eq!(world.begin(4, MESSAGE), quiesce);
}

/// A write waits for memory; nothing else is worth that.
#[test]
fn writes_alone_wait_for_memory() {
    let starved = || {
        world(Config {
            nodes: 0,
            ..Config::QUIET
        })
    };
    assert_eq!(starved().begin(0, WRITE), waits(Key::Memory));
    for cause in [MESSAGE, Cause::Weak] {
        assert_eq!(starved().begin(0, cause), stays(Obstacle::NoMemory));
    }
}

/// A unit that is weak is left alone if it is worse; one that is asked for is moved.
#[test]
fn a_suspect_is_moved_by_a_message_but_not_as_weak() {
    let mut world = quiet();
    assert!(world.engine.suspect(Unit(1), 8));
    assert_eq!(world.begin(1, Cause::Weak), stays(Obstacle::Changed));
    assert_eq!(world.begin(1, MESSAGE), Turn::Act(Action::Quiesce));
    assert_eq!(world.begin(2, Cause::Weak), Turn::Act(Action::Quiesce));
}

/// However many wait for units that move, each is committed at once whose end somebody waits for.
#[test]
fn many_wait_for_many_units() {
    const MANY: u64 = 11;
    let mut world = world(Config {
        units: 16,
        spare_units: 20,
        ..Config::QUIET
    });
    let mut moving: Vec<_> = (0..MANY).map(|unit| relocation(unit, MESSAGE)).collect();
    for own in &mut moving {
        let begun = own.step(&mut world.engine, Event::Begin, 1);
        assert_eq!(begun, Turn::Act(Action::Quiesce));
    }
    for unit in 0..MANY {
        let mut reader = Request::new(Op::Read, unit * UNIT..unit * UNIT + 1, false, 0);
        let wait = Action::Wait(Key::Unit(Unit(unit)));
        assert_eq!(reader.step(&mut world.engine, Event::Begin, 1), wait);
    }
    let (mut first, mut last) = (moving.remove(0), moving.pop().expect("many"));
    first.step(&mut world.engine, Event::Quiesced, 1);
    let away = Event::Io(Err(Status::Transport));
    // All of it, and then its first block.
    first.step(&mut world.engine, away, 1);
    let end = first.step(&mut world.engine, away, 1);
    assert_eq!(end, stays(Obstacle::Io(Status::Transport)));
    for event in [Event::Quiesced, DONE] {
        last.step(&mut world.engine, event, 1);
    }
    assert!(!world.engine.wants_update());
    let end = last.step(&mut world.engine, DONE, 1);
    assert!(
        matches!(end, Turn::Ended(Outcome::Staged { .. })),
        "{end:?}"
    );
    assert!(world.engine.wants_update());
}

/// What was moved alone is counted, and one more trips the breaker.
#[test]
fn one_too_many_trips_the_breaker() {
    let mut world = quiet();
    let configure = |world: &mut World, limit, budget| {
        let limit = Limit::new(limit, 86_400).expect("a limit");
        world.engine.configure(limit, budget, Policy::Main);
    };
    configure(&mut world, 1, Budget::Units(0));
    let mut own = relocation(0, WRITE);
    for event in [Event::Begin, Event::Quiesced, DONE] {
        own.step(&mut world.engine, event, 1);
    }
    assert_eq!(world.engine.admitted(), 1);
    let end = own.step(&mut world.engine, DONE, 1);
    assert!(
        matches!(end, Turn::Ended(Outcome::Staged { .. })),
        "{end:?}"
    );
    assert_eq!(world.engine.admitted(), 0);
    assert_eq!(world.begin(1, WRITE), stays(Obstacle::Tripped));
    assert_eq!(world.engine.breaker().open(), Some(Trip::TooMany));
    // A day's budget is a limit, too.
    let mut world = quiet();
    let limit = Limit::new(0, 0).expect("no limit");
    world
        .engine
        .configure(limit, Budget::Units(1), Policy::Main);
    assert_eq!(world.begin(0, WRITE), Turn::Act(Action::Quiesce));
    assert_eq!(world.begin(1, WRITE), waits(Key::Room));
}

/// A unit on its way back is read when nothing goes where it was any more.
#[test]
fn a_unit_quiesces_before_it_is_read() {
    let mut world = quiet();
    world.relocate(1..2);
    let quiesce = Turn::Act(Action::Quiesce);
    let mut own = Unrelocation::new(Unit(1));
    assert_eq!(own.step(&mut world.engine, Event::Begin), quiesce);
    assert_eq!(own.step(&mut world.engine, Event::Woken), quiesce);
    let Turn::Act(action) = own.step(&mut world.engine, Event::Quiesced) else {
        panic!("ended");
    };
    assert_eq!(io_of(action).device, Device::Spare);
}

/// The only block that is wanted is not read again for itself.
#[test]
fn a_run_of_one_block_fails_once() {
    let mut world = quiet();
    let own = relocation(1, WRITE);
    let mut own = own.of_write(8..15, Data::Bio, State::Main);
    own.step(&mut world.engine, Event::Begin, 1);
    let Turn::Act(action) = own.step(&mut world.engine, Event::Quiesced, 1) else {
        panic!("ended");
    };
    assert_eq!(io_of(action).sectors, 15..16);
    assert_eq!(own.step(&mut world.engine, FAILED, 1), waits(Key::Probe));
}

/// What an administrator asks for opens no breaker.
#[test]
fn a_message_leaves_the_breaker_closed() {
    for (cause, is_closed) in [(MESSAGE, true), (WRITE, false)] {
        let mut world = quiet();
        let mut own = relocation(1, cause);
        own.step(&mut world.engine, Event::Begin, 1);
        let mut turn = own.step(&mut world.engine, Event::Quiesced, 1);
        while matches!(turn, Turn::Act(Action::Io(_))) {
            turn = own.step(&mut world.engine, FAILED, 1);
        }
        assert_eq!(turn, waits(Key::Probe));
        world.probe(FAILED, 1);
        let end = own.step(&mut world.engine, Event::Woken, 1);
        assert_eq!(end, stays(Obstacle::Away));
        assert_eq!(world.engine.is_closed(), is_closed);
    }
}

/// Spare units that fail are next to each other at first, and then all over the spare.
#[test]
fn tries_are_spread_over_the_spare() {
    const UNITS: u64 = 512;
    let mut world = world(Config {
        spare_units: UNITS,
        ..Config::QUIET
    });
    let mut own = relocation(1, MESSAGE);
    own.step(&mut world.engine, Event::Begin, 1);
    let mut turn = own.step(&mut world.engine, Event::Quiesced, 1);
    turn = match turn {
        Turn::Act(Action::Io(_)) => own.step(&mut world.engine, DONE, 1),
        _ => turn,
    };
    let first = world.geometry.on_spare(SpareUnit(0), 0);
    let mut tried = Vec::new();
    loop {
        let event = match turn {
            Turn::Act(Action::Io(io)) => {
                let unit = (io.at - first) / UNIT;
                if tried.last() != Some(&unit) {
                    tried.push(unit);
                }
                FAILED
            }
            Turn::Act(Action::Sleep(_)) => Event::Slept,
            Turn::Act(Action::Wait(Key::Probe)) => {
                world.probe(DONE, 1);
                Event::Woken
            }
            _ => break,
        };
        turn = own.step(&mut world.engine, event, 1);
    }
    let parts: Vec<_> = tried[4..].iter().map(|unit| unit * 4 / UNITS).collect();
    assert!(tried[..4].iter().all(|unit| unit * 4 < UNITS), "{tried:?}");
    assert_eq!(parts, [0, 1, 2, 3], "{tried:?}");
}
