// SPDX-License-Identifier: GPL-2.0

//! Reading a unit that moves from where it is.

use super::{
    Cause,
    Outcome,
    Relocation,
    Step, //
};
use crate::blocks::Blocks;
use crate::breaker::Trip;
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
use crate::index::State;
use core::ops::Range;

impl Relocation {
    /// The blocks that are to be read: all that the bio does not write and that hold data.
    pub(super) fn wanted<M: Memory>(&self, engine: &Engine<M>) -> Blocks {
        let geometry = engine.geometry();
        let others = geometry.blocks_of(self.unit);
        let others = others.minus(geometry.blocks_at(self.unit, &self.written));
        match self.from {
            State::Relocated { valid, .. } => others.minus(others.minus(valid)),
            State::Main | State::Suspect => others,
        }
    }

    /// Reads what is wanted and was not read yet.
    pub(super) fn read<M: Memory>(&mut self, engine: &mut Engine<M>) -> Turn<Outcome> {
        let Step::Reading(single) = self.step else {
            return self.stay(engine, Obstacle::Away);
        };
        let wanted = self.wanted(engine);
        let left = wanted.minus(self.got).minus(self.failing);
        if let Some(run) = left.first_run() {
            let end = if run.start < single {
                run.start + 1
            } else {
                run.end
            };
            return Turn::Act(self.reading(engine, run.start..end));
        }
        if self.got == wanted {
            self.tries = 0;
            return self.write(engine, 0);
        }
        // Lost is what fails again between two looks that find its device working.
        let probe = match self.from.spare() {
            Some(_) => Probe::SpareReads,
            None => Probe::MainReads,
        };
        let ticket = engine.ask(probe, self.unit);
        self.step = Step::Asking(ticket);
        Turn::Act(Action::Wait(Key::Probe))
    }

    pub(super) fn reading<M: Memory>(&self, engine: &Engine<M>, blocks: Range<u32>) -> Action {
        let geometry = engine.geometry();
        let sectors = geometry.sectors_at(self.unit, blocks);
        let place = self.from.spare();
        Action::Io(Io::of_unit(
            geometry,
            place,
            Verb::Read,
            sectors,
            Data::Unit,
        ))
    }

    pub(super) fn have_read<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        single: u32,
        done: Result<(), Status>,
    ) -> Turn<Outcome> {
        let left = self.wanted(engine).minus(self.got).minus(self.failing);
        let Some(run) = left.first_run() else {
            return self.read(engine);
        };
        let is_single = run.start < single || run.end - run.start == 1;
        let blocks = match is_single {
            true => Blocks::range(run.start..run.start + 1),
            false => Blocks::range(run.clone()),
        };
        match done {
            Ok(()) => self.got = self.got.union(blocks),
            Err(_) if !is_single => self.step = Step::Reading(run.end),
            Err(status) if is_bad_sector(status) => self.failing = self.failing.union(blocks),
            // An error that does not speak of the medium loses nothing: it ends the move.
            Err(status) => return self.stay(engine, Obstacle::Io(status)),
        }
        self.read(engine)
    }

    pub(super) fn asked<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        ticket: Ticket,
    ) -> Turn<Outcome> {
        let Some(works) = engine.answer(ticket) else {
            return Turn::Act(Action::Wait(Key::Probe));
        };
        if !works {
            if self.from.spare().is_none() && matches!(self.cause, Cause::Write(_)) {
                engine.trip(Trip::Unreadable);
            }
            return self.stay(engine, Obstacle::Away);
        }
        self.tries += 1;
        if let Some(wait) = wait_before(self.tries) {
            self.failing = Blocks::NONE;
            self.step = Step::Reading(0);
            return Turn::Act(Action::Sleep(wait));
        }
        if !self.cause.accepts_losses() {
            return self.stay(engine, Obstacle::Unreadable);
        }
        self.tries = 0;
        self.write(engine, 0)
    }
}
