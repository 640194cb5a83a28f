// SPDX-License-Identifier: GPL-2.0

//! Requests: how they are cut, tried again, and ended.

use super::*;
use remap_core::engine::notice::Notice;

/// The data of zeroes are no bio's.
#[test]
fn zeroes_are_written_as_zeroes() {
    let mut world = quiet();
    for (op, data) in [(Op::WriteZeroes, Data::Zeroes), (Op::Write, Data::Bio)] {
        let mut request = Request::new(op, 0..4, true, 0);
        let io = io_of(request.step(&mut world.engine, Event::Begin, 1));
        assert_eq!((io.verb, io.data), (Verb::Write, data));
    }
}

/// The units of a piece: to the end of a unit with an entry, or to the next one that has one.
#[test]
fn a_piece_ends_where_an_entry_begins() {
    let mut world = quiet();
    world.relocate(2..3);
    let piece = |world: &mut World, sectors: Range<u64>, has_failed| {
        let mut request = Request::new(Op::Write, sectors, has_failed, 0);
        let io = io_of(request.step(&mut world.engine, Event::Begin, 1));
        (io.device, io.sectors)
    };
    assert_eq!(piece(&mut world, 1..40, false), (Device::Main, 1..16));
    assert_eq!(piece(&mut world, 17..40, false), (Device::Spare, 17..24));
    assert_eq!(piece(&mut world, 24..40, false), (Device::Main, 24..40));
    // What failed is tried unit by unit.
    assert_eq!(piece(&mut world, 1..16, true), (Device::Main, 1..8));
}

/// What failed to be read is read block by block, and what follows as a whole again.
#[test]
fn a_read_that_failed_is_narrow_to_its_end_and_no_further() {
    let mut world = quiet();
    let mut request = Request::new(Op::Read, 0..24, false, 0);
    let engine = &mut world.engine;
    let mut step = |event| io_of(request.step(engine, event, 1)).sectors;
    assert_eq!(step(Event::Begin), 0..24);
    // Unit by unit, and the first of them block by block.
    assert_eq!(step(FAILED), 0..8);
    assert_eq!(step(FAILED), 0..1);
    for block in 1..8 {
        assert_eq!(step(DONE), block..block + 1);
    }
    assert_eq!(step(DONE), 8..16);
    assert_eq!(step(DONE), 16..24);
}

/// A unit that became a suspect while a wide piece was written is written, and read, by itself.
#[test]
fn a_wide_write_that_meets_a_suspect_is_written_again() {
    let mut world = quiet();
    let mut request = Request::new(Op::Write, 0..24, false, 0);
    let all = io_of(request.step(&mut world.engine, Event::Begin, 1));
    assert_eq!(all.sectors, 0..24);
    assert!(world.engine.suspect(Unit(1), 8));
    let mut step = |event| io_of(request.step(&mut world.engine, event, 1));
    assert_eq!(step(DONE).sectors, 0..8);
    assert_eq!(step(DONE).sectors, 8..16);
    let check = step(DONE);
    assert_eq!((check.verb, check.sectors), (Verb::Read, 8..16));
}

/// By this policy a write to a suspect moves it, if anything is moved and it is a write.
#[test]
fn the_policy_is_for_writes_to_suspects() {
    let begun = |op, policy, is_open| {
        let mut world = quiet();
        world.policy(policy);
        assert!(world.engine.suspect(Unit(1), 8));
        if is_open {
            world.open_breaker();
        }
        let mut request = Request::new(op, 8..10, false, 0);
        let action = request.step(&mut world.engine, Event::Begin, 1);
        matches!(action, Action::Wait(Key::Probe))
    };
    assert!(begun(Op::Write, Policy::Spare, false));
    assert!(begun(Op::WriteZeroes, Policy::Spare, false));
    for (op, policy, is_open) in [
        (Op::Write, Policy::Main, false),
        (Op::Write, Policy::Spare, true),
        (Op::Discard, Policy::Spare, false),
        (Op::Read, Policy::Spare, false),
    ] {
        assert!(!begun(op, policy, is_open), "{op:?} {policy:?} {is_open}");
    }
}

/// Writes wait for a spare unit for their time, from when the first came; one that becomes free
/// has others wait again.
#[test]
fn writes_wait_for_a_spare_unit_for_their_time() {
    let mut world = world(Config {
        spare_units: 2,
        no_spare_timeout: Some(1),
        ..Config::QUIET
    });
    world.relocate(0..2);
    let wait = Action::Wait(Key::Spare);
    let end = Action::End(Status::IoErr);
    assert_eq!(world.engine.no_spare_deadline(10_000), None);
    let [mut one, mut other, mut third, mut fourth] =
        [2, 3, 4, 4].map(|unit| Request::new(Op::Write, unit * UNIT..unit * UNIT + 2, true, 0));
    assert_eq!(world.fails(&mut one, 10_000), wait);
    assert_eq!(world.engine.no_spare_deadline(10_000), Some(1000));
    assert_eq!(world.fails(&mut other, 10_500), wait);
    assert_eq!(world.engine.no_spare_deadline(10_500), Some(500));
    world.engine.expire(10_999);
    assert_eq!(one.step(&mut world.engine, Event::Woken, 10_999), wait);
    world.engine.expire(11_000);
    assert_eq!(world.engine.no_spare_deadline(11_000), None);
    assert_eq!(one.step(&mut world.engine, Event::Woken, 11_000), end);
    assert_eq!(other.step(&mut world.engine, Event::Woken, 11_000), end);
    assert_eq!(world.engine.waiting_for_spare(), 0);
    // It was in vain, until a spare unit becomes free.
    world.engine.take_notices();
    assert_eq!(world.fails(&mut third, 12_000), end);
    let notices = world.engine.take_notices();
    let why = notices.iter().find_map(|notice| match notice {
        Notice::Stays { why, .. } => Some(*why),
        _ => None,
    });
    assert_eq!(why, Some(Obstacle::NoSpare));
    world.spawn(Machine::Unrelocation(Unrelocation::new(Unit(0))), 0);
    world.drain().expect("no lie");
    world.relocate(5..6);
    assert_eq!(world.fails(&mut fourth, 13_000), wait);
}

/// What a read found out before its unit moved says nothing of where the unit is now.
#[test]
fn a_read_that_failed_follows_its_unit() {
    let mut world = quiet();
    let mut request = Request::new(Op::Read, 8..9, true, 0);
    let action = world.fails_until_it_waits(&mut request, Event::Begin, 1);
    assert_eq!(action, Action::Wait(Key::Probe));
    world.relocate(1..2);
    world.probe(DONE, 1);
    let again = io_of(request.step(&mut world.engine, Event::Woken, 1));
    assert_eq!(again.device, Device::Spare);
}

/// A wide piece that met no entry is done.
#[test]
fn a_wide_piece_is_not_done_twice() {
    let end = Action::End(Status::Ok);
    let mut world = quiet();
    world.relocate(3..4);
    let done = |world: &mut World, op, suspect: Option<u64>| {
        let mut request = Request::new(op, 0..24, false, 0);
        let all = io_of(request.step(&mut world.engine, Event::Begin, 1));
        assert_eq!(all.sectors, 0..24);
        if let Some(unit) = suspect {
            assert!(world.engine.suspect(Unit(unit), unit * UNIT));
        }
        request.step(&mut world.engine, DONE, 1)
    };
    assert_eq!(done(&mut world, Op::Write, None), end);
    // What was read is read.
    assert_eq!(done(&mut world, Op::Read, Some(1)), end);
}

/// Only what a sector may have is tried again, and only where units are moved.
#[test]
fn what_is_pointless_is_not_tried_again() {
    let mut world = quiet();
    let mut ends = |op, status| {
        let mut request = Request::new(op, 0..1, true, 0);
        io_of(request.step(&mut world.engine, Event::Begin, 1));
        request.step(&mut world.engine, Event::Io(Err(status)), 1)
    };
    let end = Action::End(Status::Transport);
    assert_eq!(ends(Op::Write, Status::Transport), end);
    assert_eq!(ends(Op::Read, Status::Transport), end);
    assert_eq!(
        ends(Op::Discard, Status::Medium),
        Action::End(Status::Medium)
    );
    let wait = ends(Op::Write, Status::Medium);
    assert!(matches!(wait, Action::Sleep(_)), "{wait:?}");
    world.open_breaker();
    let mut request = Request::new(Op::Write, 0..1, true, 0);
    io_of(request.step(&mut world.engine, Event::Begin, 1));
    let end = request.step(&mut world.engine, FAILED, 1);
    assert_eq!(end, Action::End(Status::Medium));
}

/// A request that failed, and then worked without a move, is counted.
#[test]
fn errors_that_pass_are_counted() {
    let mut world = quiet();
    world.engine.take_counts();
    let transient = |world: &mut World, has_failed| {
        let mut request = Request::new(Op::Write, 0..1, has_failed, 0);
        io_of(request.step(&mut world.engine, Event::Begin, 1));
        let end = request.step(&mut world.engine, DONE, 1);
        assert_eq!(end, Action::End(Status::Ok));
        world.engine.take_counts().transient
    };
    assert_eq!(transient(&mut world, false), 0);
    assert_eq!(transient(&mut world, true), 1);
    // One that was moved is counted as that.
    let mut request = Request::new(Op::Write, 8..16, true, 0);
    let mut action = world.fails(&mut request, 1);
    assert_eq!(action, Action::Quiesce);
    action = request.step(&mut world.engine, Event::Quiesced, 1);
    while let Action::Io(_) = action {
        action = request.step(&mut world.engine, DONE, 1);
    }
    assert!(matches!(action, Action::Wait(Key::Commit(_))), "{action:?}");
    world.act(Act::Commit).expect("no lie");
    let before = world.tally;
    world.drain().expect("no lie");
    assert_eq!(world.tally.relocated, before.relocated + 1);
    let end = request.step(&mut world.engine, Event::Woken, 1);
    assert_eq!(end, Action::End(Status::Ok));
    assert_eq!(world.engine.take_counts().transient, 0);
}

/// What is not the medium's fault ends a write that is done again, and a check of one.
#[test]
fn other_errors_end_a_write() {
    let transport = Event::Io(Err(Status::Transport));
    let end = Action::End(Status::Transport);
    let mut world = quiet();
    let mut request = Request::new(Op::Write, 8..10, true, 0);
    let mut action = request.step(&mut world.engine, Event::Begin, 1);
    while request.state() != "Rewriting" {
        let event = match action {
            Action::Io(_) => FAILED,
            Action::Sleep(_) => Event::Slept,
            _ => {
                world.probe(DONE, 1);
                Event::Woken
            }
        };
        action = request.step(&mut world.engine, event, 1);
    }
    assert_eq!(request.step(&mut world.engine, transport, 1), end);
    // A suspect is read as a whole, and then what was written of it.
    assert!(world.engine.suspect(Unit(1), 8));
    let mut request = Request::new(Op::Write, 8..10, true, 0);
    request.step(&mut world.engine, Event::Begin, 1);
    let whole = io_of(request.step(&mut world.engine, DONE, 1));
    assert_eq!((whole.verb, whole.sectors), (Verb::Read, 8..16));
    let piece = io_of(request.step(&mut world.engine, FAILED, 1));
    assert_eq!((piece.verb, piece.sectors), (Verb::Read, 8..10));
    assert_eq!(request.step(&mut world.engine, transport, 1), end);
}

/// A read that fails on a main that works finds a suspect.
#[test]
fn a_read_that_fails_finds_a_suspect() {
    let mut world = quiet();
    let mut request = Request::new(Op::Read, 9..10, true, 0);
    let end = world.fails(&mut request, 1);
    assert_eq!(
        (end, world.engine.suspects()),
        (Action::End(Status::Medium), 1)
    );
}

/// A write does not go to a unit of which nobody knows where the next load looks for it.
#[test]
fn a_stuck_unit_is_not_written() {
    let mut world = quiet();
    let mut request = Request::new(Op::Write, 8..10, true, 0);
    let mut action = world.fails_until_it_waits(&mut request, Event::Begin, 1);
    assert_eq!(action, Action::Wait(Key::Probe));
    let mut own = relocation(1, MESSAGE);
    for event in [Event::Begin, Event::Quiesced, DONE, DONE] {
        own.step(&mut world.engine, event, 1);
    }
    world.spare.mode = Mode::ReadOnly;
    world.note_outage();
    world.engine.hasten();
    world.drain().expect("no lie");
    let entry = world.engine.map().get(Unit(1)).expect("an entry");
    assert_eq!((entry.gate, entry.state), (Gate::Stuck, State::Main));
    for _ in 0..2 {
        world.probe(DONE, 1);
        action = request.step(&mut world.engine, Event::Woken, 1);
    }
    assert_eq!(action, Action::End(Status::IoErr));
}
