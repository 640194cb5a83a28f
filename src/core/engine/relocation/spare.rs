// SPDX-License-Identifier: GPL-2.0

//! Writing a unit that moves to a spare unit, or to another where that fails.

use super::{
    Outcome,
    Relocation,
    Step,
    TRIES, //
};
use crate::classify::{
    is_bad_sector,
    Status, //
};
use crate::confirm::wait_before;
use crate::engine::memory::Memory;
use crate::engine::obstacle::Obstacle;
use crate::engine::probe::{
    Probe,
    Ticket, //
};
use crate::engine::task::{
    Action,
    Data,
    Io,
    Key,
    Turn,
    Verb, //
};
use crate::engine::Engine;
use crate::geometry::SpareUnit;

/// How many spare units are the next ones; further ones are spread over the spare.
const NEAR_TRIES: usize = 4;

impl Relocation {
    /// Part number `part` of what is written to a spare unit.
    pub(super) fn part<M: Memory>(
        &self,
        engine: &Engine<M>,
        to: SpareUnit,
        part: u32,
    ) -> Option<Io> {
        let geometry = engine.geometry();
        let mut runs = self.got.runs();
        let (sectors, data) = match runs.nth(part as usize) {
            Some(run) => (geometry.sectors_at(self.unit, run), Data::Unit),
            None if part as usize == self.got.runs().count() && !self.written.is_empty() => {
                (self.written.clone(), self.data)
            }
            None => return None,
        };
        let place = Some(to);
        Some(Io::of_unit(geometry, place, Verb::Write, sectors, data))
    }

    /// Writes a part to the spare unit, or goes on when there is none left.
    pub(super) fn write<M: Memory>(&mut self, engine: &mut Engine<M>, part: u32) -> Turn<Outcome> {
        let Some(spare) = self.spare else {
            return self.stay(engine, Obstacle::NoSpare);
        };
        match self.part(engine, spare, part) {
            Some(io) => {
                self.step = Step::Writing(part);
                Turn::Act(Action::Io(io))
            }
            None => self.recheck(engine, 0, 0),
        }
    }

    pub(super) fn have_written<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        part: u32,
        done: Result<(), Status>,
    ) -> Turn<Outcome> {
        let status = match done {
            Ok(()) => return self.write(engine, part + 1),
            Err(status) => status,
        };
        if !is_bad_sector(status) {
            return self.stay(engine, Obstacle::Io(status));
        }
        self.tries += 1;
        self.step = Step::Writing(0);
        if let Some(wait) = wait_before(self.tries) {
            return Turn::Act(Action::Sleep(wait));
        }
        if let Some(spare) = self.spare.take() {
            // There is room: the last one ends it.
            let _ = self.failed.push(spare);
        }
        if self.failed.is_full() {
            return self.stay(engine, Obstacle::Io(status));
        }
        let ticket = engine.ask(Probe::SpareReads, self.unit);
        self.step = Step::AskingSpare(ticket, status);
        Turn::Act(Action::Wait(Key::Probe))
    }

    pub(super) fn asked_spare<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        ticket: Ticket,
        status: Status,
    ) -> Turn<Outcome> {
        match engine.answer(ticket) {
            None => return Turn::Act(Action::Wait(Key::Probe)),
            Some(false) => return self.stay(engine, Obstacle::Io(status)),
            Some(true) => {}
        }
        self.spare = self.another_spare(engine);
        self.tries = 0;
        self.write(engine, 0)
    }

    /// A spare unit after others failed.
    pub(super) fn another_spare<M: Memory>(&self, engine: &mut Engine<M>) -> Option<SpareUnit> {
        let far = self.failed.len().checked_sub(NEAR_TRIES).and_then(|part| {
            let parts = (TRIES - NEAR_TRIES) as u64;
            engine.spares.allocate_in(part as u64, parts)
        });
        far.or_else(|| engine.take_spare(self.unit, self.cpu))
    }

    /// Writes once more to a spare unit that failed, since another works: what fails again is bad.
    pub(super) fn recheck<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        at: usize,
        part: u32,
    ) -> Turn<Outcome> {
        let Some(&spare) = self.failed.get(at) else {
            self.step = Step::Staging;
            return self.stage(engine);
        };
        match self.part(engine, spare, part) {
            Some(io) => {
                self.step = Step::Rechecking(at, part);
                Turn::Act(Action::Io(io))
            }
            None => {
                engine.release(spare);
                self.recheck(engine, at + 1, 0)
            }
        }
    }

    pub(super) fn have_rechecked<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        at: usize,
        part: u32,
        done: Result<(), Status>,
    ) -> Turn<Outcome> {
        let Err(status) = done else {
            return self.recheck(engine, at, part + 1);
        };
        if let Some(&spare) = self.failed.get(at) {
            match is_bad_sector(status) {
                // There is as much room as for those that failed.
                true => drop(self.bad.push(spare)),
                false => engine.release(spare),
            }
        }
        self.recheck(engine, at + 1, 0)
    }
}
