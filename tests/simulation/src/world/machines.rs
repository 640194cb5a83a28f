// SPDX-License-Identifier: GPL-2.0

//! Machines one step at a time, where chance seldom leads, or nobody would notice the difference.

use super::*;
use crate::config::Config;
use remap_core::breaker::Trip;
use remap_core::engine::obstacle::Obstacle;
use remap_core::engine::relocation::Outcome;

const UNIT: u64 = 8;
const FAILED: Event = Event::Io(Err(Status::Medium));
const DONE: Event = Event::Io(Ok(()));

fn world(config: Config) -> World {
    let mut world = World::new(config, 1);
    world.policy(Policy::Main);
    world
}

fn quiet() -> World {
    world(Config::QUIET)
}

fn waits<O>(key: Key) -> Turn<O> {
    Turn::Act(Action::Wait(key))
}

const fn stays(why: Obstacle) -> Turn<Outcome> {
    Turn::Ended(Outcome::Stays(why))
}

fn relocation(unit: u64, cause: Cause) -> Relocation {
    Relocation::new(Unit(unit), cause, 0)
}

const MESSAGE: Cause = Cause::Message { is_lossy: false };
const WRITE: Cause = Cause::Write(Status::Medium);

impl World {
    fn policy(&mut self, policy: Policy) {
        let limit = Limit::new(0, 0).expect("no limit");
        self.engine.configure(limit, Budget::Usual, policy);
    }

    /// The first step of a relocation.
    fn begin(&mut self, unit: u64, cause: Cause) -> Turn<Outcome> {
        relocation(unit, cause).step(&mut self.engine, Event::Begin, self.now)
    }

    /// Has units moved to the spare.
    fn relocate(&mut self, units: Range<u64>) {
        for unit in units {
            self.spawn(Machine::Relocation(relocation(unit, MESSAGE)), 0);
        }
        self.drain().expect("no lie");
    }

    /// Has the I/O of a request fail, while all probes work, until it waits for something else, or
    /// has ended.
    fn fails(&mut self, request: &mut Request, now: u64) -> Action {
        let mut action = request.step(&mut self.engine, Event::Begin, now);
        loop {
            let event = match action {
                Action::Io(_) => FAILED,
                Action::Sleep(_) => Event::Slept,
                Action::Wait(Key::Probe) if self.engine.wants_probe() => {
                    self.probe(DONE, now);
                    Event::Woken
                }
                other => return other,
            };
            action = request.step(&mut self.engine, event, now);
        }
    }

    /// Has all probes that are wanted end, whose reads end like this.
    fn probe(&mut self, read: Event, now: u64) {
        let mut prober = Prober::default();
        let mut action = prober.step(&mut self.engine, Event::Begin, now);
        while matches!(action, Action::Io(_)) {
            action = prober.step(&mut self.engine, read, now);
        }
    }

    /// Opens the breaker, as a write to a main that cannot be read does.
    fn open_breaker(&mut self) {
        self.main.mode = Mode::Away;
        self.note_outage();
        self.client(Kind::Write, 0..1);
        self.drain().expect("no lie");
        self.main.mode = Mode::Well;
        assert!(!self.engine.is_closed());
    }
}

/// The I/O that a machine wants.
fn io_of(action: Action) -> Io {
    match action {
        Action::Io(io) => io,
        other => panic!("{other:?}"),
    }
}

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
        let mut action = request.step(&mut world.engine, Event::Begin, now);
        while !matches!(action, Action::Wait(_) | Action::End(_)) {
            let event = match action {
                Action::Sleep(_) => Event::Slept,
                _ => FAILED,
            };
            action = request.step(&mut world.engine, event, now);
        }
        action == Action::Wait(Key::Probe)
    };
    assert!(asks(&mut world, 5000));
    world.probe(FAILED, 5000);
    assert!(!asks(&mut world, 5000));
    assert!(!asks(&mut world, 5999));
    assert!(asks(&mut world, 6000));
    world.probe(DONE, 6000);
    assert!(asks(&mut world, 6000));
}

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
    let [mut one, mut other, mut third, mut fourth] =
        [2, 3, 4, 4].map(|unit| Request::new(Op::Write, unit * UNIT..unit * UNIT + 2, true, 0));
    assert_eq!(world.fails(&mut one, 10_000), wait);
    assert_eq!(world.engine.no_spare_deadline(10_000), Some(1000));
    assert_eq!(world.fails(&mut other, 10_500), wait);
    assert_eq!(world.engine.no_spare_deadline(10_500), Some(500));
    world.engine.expire(10_999);
    assert_eq!(one.step(&mut world.engine, Event::Woken, 10_999), wait);
    world.engine.expire(11_000);
    assert_eq!(one.step(&mut world.engine, Event::Woken, 11_000), end);
    assert_eq!(other.step(&mut world.engine, Event::Woken, 11_000), end);
    assert_eq!(world.engine.waiting_for_spare(), 0);
    // It was in vain, until a spare unit becomes free.
    assert_eq!(world.fails(&mut third, 12_000), end);
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
    let mut action = request.step(&mut world.engine, Event::Begin, 1);
    while action != Action::Wait(Key::Probe) {
        let event = match action {
            Action::Sleep(_) => Event::Slept,
            _ => FAILED,
        };
        action = request.step(&mut world.engine, event, 1);
    }
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
    assert!(!world.engine.suspect(Unit(2), 16));
    world.engine.set_short(false);
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
