// SPDX-License-Identifier: GPL-2.0

//! Machines one step at a time, where chance seldom leads, or nobody would notice the difference.

use super::*;
use crate::config::Config;
use remap_core::breaker::Trip;
use remap_core::engine::memory::NodePool;
use remap_core::engine::obstacle::Obstacle;
use remap_core::engine::relocation::Outcome;
use remap_core::geometry::SpareUnit;

mod moves;
mod probes;
mod requests;
mod state;

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
        let mut action = self.fails_until_it_waits(request, Event::Begin, now);
        while action == Action::Wait(Key::Probe) && self.engine.wants_probe() {
            self.probe(DONE, now);
            action = self.fails_until_it_waits(request, Event::Woken, now);
        }
        action
    }

    /// Has the I/O of a request fail from an event on until it waits for anything, or has ended.
    fn fails_until_it_waits(&mut self, request: &mut Request, event: Event, now: u64) -> Action {
        let mut action = request.step(&mut self.engine, event, now);
        loop {
            let event = match action {
                Action::Io(_) => FAILED,
                Action::Sleep(_) => Event::Slept,
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
