// SPDX-License-Identifier: GPL-2.0

//! Questions to devices, and what their answers are for.

use super::*;

/// A unit is not asked about where it cannot become a suspect.
#[test]
fn a_finding_ends_where_there_is_no_suspect() {
    let end = Turn::Ended(false);
    let mut world = quiet();
    let wait = Finding::new(Unit(1)).step(&mut world.engine);
    assert_eq!(wait, waits(Key::Probe));
    world.engine.set_suspended(true);
    assert_eq!(Finding::new(Unit(1)).step(&mut world.engine), end);
    world.engine.set_suspended(false);
    world.drain().expect("no lie");
    world.relocate(2..3);
    assert_eq!(Finding::new(Unit(2)).step(&mut world.engine), end);
    world.open_breaker();
    assert_eq!(Finding::new(Unit(1)).step(&mut world.engine), end);
}

/// What was under way before a question was asked does not answer it.
#[test]
fn a_probe_answers_only_what_was_asked_before_it_began() {
    let mut world = quiet();
    let engine = &mut world.engine;
    let (mut one, mut other) = (Finding::new(Unit(1)), Finding::new(Unit(2)));
    let mut prober = Prober::default();
    one.step(engine);
    io_of(prober.step(engine, Event::Begin, 1));
    other.step(engine);
    io_of(prober.step(engine, DONE, 2));
    one.step(engine);
    other.step(engine);
    assert_eq!(
        (one.state(), other.state()),
        ("AskingWrites", "AskingReads")
    );
    prober.step(engine, DONE, 3);
    other.step(engine);
    assert_eq!(other.state(), "AskingWrites");
}

/// A probe reads where nothing bad is known, near where it would.
#[test]
fn a_probe_passes_over_units_with_entries() {
    let looked_at = |relocated: Range<u64>| {
        let mut world = world(Config {
            units: 10,
            spare_units: 20,
            ..Config::QUIET
        });
        world.relocate(relocated);
        Finding::new(Unit(0)).step(&mut world.engine);
        let io = io_of(Prober::default().step(&mut world.engine, Event::Begin, 1));
        io.at / UNIT
    };
    assert_eq!(looked_at(0..0), 2);
    assert_eq!(looked_at(2..5), 5);
    // Where none is left before the end, it reads there.
    assert_eq!(looked_at(2..10), 2);
}

/// One unit says nothing of a device that has no other.
#[test]
fn the_only_unit_is_moved() {
    let mut world = world(Config {
        units: 1,
        ..Config::QUIET
    });
    world.main.set_fault(1, Some(Fault::Dead));
    world.oracle.may_fail(&(1..2));
    world.client(Kind::Write, 0..3);
    world.drain().expect("no lie");
    assert_eq!((world.tally.relocated, world.tally.tripped), (1, 0));
}

/// Why the breaker opened is what administrators go by.
#[test]
fn the_breaker_says_what_main_does_not_do() {
    let open = |mode| {
        let mut world = world(Config {
            on_main: true,
            ..Config::QUIET
        });
        world.main.mode = mode;
        world.note_outage();
        world.client(Kind::Write, 0..1);
        world.drain().expect("no lie");
        world.engine.breaker().open()
    };
    assert_eq!(open(Mode::ReadOnly), Some(Trip::Unwritable));
    assert_eq!(open(Mode::Away), Some(Trip::Unreadable));
}

/// For a second after main was found away, a read that fails asks nobody; then it does again.
#[test]
fn reads_do_not_ask_a_main_that_is_away() {
    let mut world = quiet();
    let asks = |world: &mut World, now: u64| {
        let mut request = Request::new(Op::Read, 8..9, true, 0);
        world.fails_until_it_waits(&mut request, Event::Begin, now) == Action::Wait(Key::Probe)
    };
    assert!(asks(&mut world, 5000));
    world.probe(FAILED, 5000);
    assert!(!asks(&mut world, 5000));
    assert!(!asks(&mut world, 5999));
    assert!(asks(&mut world, 6000));
    world.probe(DONE, 6000);
    assert!(asks(&mut world, 6000));
}
