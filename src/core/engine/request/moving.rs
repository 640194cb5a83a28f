// SPDX-License-Identifier: GPL-2.0

//! What a request does to have its data stored elsewhere: in lost blocks of a relocated unit, or in
//! a spare unit.

use super::{
    Request,
    Step, //
};
use crate::classify::Status;
use crate::engine::change::{
    Change,
    OnFailure, //
};
use crate::engine::memory::Memory;
use crate::engine::notice::Notice;
use crate::engine::obstacle::Obstacle;
use crate::engine::relocation::{
    Cause,
    Outcome,
    Relocation, //
};
use crate::engine::task::{
    Action,
    Event,
    Key,
    Turn,
    Verb, //
};
use crate::engine::Engine;
use crate::geometry::{
    SpareUnit,
    Unit, //
};
use crate::index::State;

impl Request {
    /// Writes to lost blocks of a unit that is in `spare`.
    pub(super) fn grow<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        unit: Unit,
        spare: SpareUnit,
    ) -> Action {
        if engine.is_read_only() {
            return self.end(engine, Status::IoErr);
        }
        match engine.claim(unit) {
            Ok(()) => {}
            Err(key) => return Action::Wait(key),
        }
        self.step = Step::Growing(spare);
        let (piece, data) = (self.piece.clone(), self.data());
        self.io(engine, Verb::Write, Some(spare), piece, data, false)
    }

    pub(super) fn grown<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        spare: SpareUnit,
        done: Result<(), Status>,
        now: u64,
    ) -> Action {
        let Err(status) = done else {
            return self.stage(engine, spare);
        };
        engine.end_claim(self.unit(engine));
        self.failed(engine, Some(spare), status, now)
    }

    /// Has the next commit say that the piece is valid.
    pub(super) fn stage<M: Memory>(&mut self, engine: &mut Engine<M>, spare: SpareUnit) -> Action {
        let unit = self.unit(engine);
        let State::Relocated { valid, .. } = engine.state(unit) else {
            engine.end_claim(unit);
            return self.choose(engine);
        };
        let valid = valid.union(engine.geometry().blocks_at(unit, &self.piece));
        let change = Change {
            unit,
            after: State::Relocated { spare, valid },
            on_failure: OnFailure::Unchanged,
        };
        if engine.is_read_only() {
            engine.end_claim(unit);
            return self.end(engine, Status::IoErr);
        }
        match engine.stage(change, core::iter::empty(), None) {
            Ok(group) => {
                self.group = group;
                self.done(engine)
            }
            Err(key) => {
                self.step = Step::Staging(spare);
                Action::Wait(key)
            }
        }
    }

    /// Has the unit of the piece moved, to which a write failed with `status` on main, or in the
    /// spare unit `place`. Where the unit is elsewhere by now, the piece is tried there.
    pub(super) fn relocate<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        place: Option<SpareUnit>,
        status: Status,
        now: u64,
    ) -> Action {
        if !self.is_at(engine, place) {
            self.tries = 0;
            return self.choose(engine);
        }
        let unit = self.unit(engine);
        // What follows in the piece goes on as ordinary I/O.
        let unit_end = engine.geometry().sectors_of(unit).end;
        self.piece.end = self.piece.end.min(unit_end);
        let (piece, data, state) = (self.piece.clone(), self.data(), engine.state(unit));
        let relocation = Relocation::new(unit, Cause::Write(status), self.cpu);
        self.relocation = Some(relocation.of_write(piece, data, state));
        self.step = Step::Moving(status);
        self.moving(engine, status, Event::Begin, now)
    }

    pub(super) fn moving<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        status: Status,
        event: Event,
        now: u64,
    ) -> Action {
        let Some(relocation) = &mut self.relocation else {
            return self.end(engine, status);
        };
        let sector = self.piece.start;
        match relocation.step(engine, event, now) {
            Turn::Act(action) => action,
            Turn::Ended(Outcome::Staged { group, lost }) => {
                (self.group, self.relocation, self.has_moved) = (group, None, true);
                engine.tell(Notice::Relocated { sector, lost });
                self.done(engine)
            }
            Turn::Ended(Outcome::Stays(Obstacle::Changed)) => {
                self.relocation = None;
                self.tries = 0;
                self.choose(engine)
            }
            Turn::Ended(Outcome::Stays(Obstacle::NoSpare)) if engine.queue.may_wait() => {
                self.relocation = None;
                engine.queue.enter(now);
                engine.hasten();
                self.step = Step::Queued;
                self.queued(engine, now)
            }
            Turn::Ended(Outcome::Stays(why)) => {
                self.relocation = None;
                engine.tell(Notice::Stays { sector, why });
                self.end(engine, why.status(status))
            }
        }
    }

    /// Waits for a spare unit, or tries the piece again if there is one.
    pub(super) fn queued<M: Memory>(&mut self, engine: &mut Engine<M>, now: u64) -> Action {
        if engine.is_suspended {
            engine.queue.leave(now);
            return self.end(engine, Status::DmRequeue);
        }
        if !engine.queue.may_wait() {
            engine.queue.leave(now);
            return self.end(engine, Status::IoErr);
        }
        if engine.spares.is_exhausted() {
            return Action::Wait(Key::Spare);
        }
        engine.queue.leave(now);
        self.tries = 0;
        self.choose(engine)
    }
}
