// SPDX-License-Identifier: GPL-2.0

//! What a request does about a piece that failed for good.

use super::{
    Request,
    Step, //
};
use crate::classify::{
    is_bad_sector,
    Status, //
};
use crate::engine::memory::Memory;
use crate::engine::probe::{
    Probe,
    Ticket, //
};
use crate::engine::task::{
    Action,
    Data,
    Key,
    Verb, //
};
use crate::engine::Engine;
use crate::geometry::{
    SpareUnit,
    Unit, //
};
use crate::index::{
    Gate,
    State, //
};

impl Request {
    /// The piece failed for good.
    pub(super) fn confirmed<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        spare: Option<SpareUnit>,
        status: Status,
        now: u64,
    ) -> Action {
        if !self.is_write() {
            return self.judge(engine, spare, status, now);
        }
        match spare {
            Some(spare) => self.relocate(engine, Some(spare), status, now),
            None => self.ask_reads(engine, status),
        }
    }

    /// Asks whether main can be read, since a write to it failed.
    pub(super) fn ask_reads<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        status: Status,
    ) -> Action {
        if !engine.is_closed() {
            return self.end(engine, status);
        }
        let ticket = engine.ask(Probe::MainReads, self.unit(engine));
        self.step = Step::AskingReads(ticket, status);
        Action::Wait(Key::Probe)
    }

    pub(super) fn asked_reads<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        ticket: Ticket,
        status: Status,
    ) -> Action {
        match engine.verdict(ticket) {
            None => return Action::Wait(Key::Probe),
            Some(false) => return self.end(engine, status),
            Some(true) => {}
        }
        let ticket = engine.ask(Probe::MainWrites, self.unit(engine));
        self.step = Step::AskingWrites(ticket, status);
        Action::Wait(Key::Probe)
    }

    pub(super) fn asked_writes<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        ticket: Ticket,
        status: Status,
        now: u64,
    ) -> Action {
        match engine.verdict(ticket) {
            None => return Action::Wait(Key::Probe),
            Some(false) => return self.end(engine, status),
            Some(true) => {}
        }
        let unit = self.unit(engine);
        if engine.gate(unit) != Gate::Open || engine.is_claimed(unit) {
            return self.choose(engine);
        }
        match engine.state(unit) {
            // What failed before main was seen to work may work now, or fail for another reason.
            State::Main => {
                self.step = Step::Rewriting;
                let (piece, data) = (self.piece.clone(), self.data());
                self.io(engine, Verb::Write, None, piece, data, true)
            }
            State::Suspect => self.relocate(engine, None, status, now),
            State::Relocated { .. } => self.choose(engine),
        }
    }

    pub(super) fn rewritten<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        done: Result<(), Status>,
        now: u64,
    ) -> Action {
        match done {
            Ok(()) => self.done(engine),
            Err(status) if is_bad_sector(status) => self.relocate(engine, None, status, now),
            Err(status) => self.end(engine, status),
        }
    }

    /// Reads a suspect that was written: all of it, or the piece.
    pub(super) fn verify<M: Memory>(
        &mut self,
        engine: &Engine<M>,
        unit: Unit,
        is_whole: bool,
    ) -> Action {
        self.step = Step::Verifying(is_whole);
        let sectors = match is_whole {
            true => engine.geometry().sectors_of(unit),
            false => self.piece.clone(),
        };
        self.io(engine, Verb::Read, None, sectors, Data::Check, true)
    }

    pub(super) fn verified<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        is_whole: bool,
        done: Result<(), Status>,
    ) -> Action {
        let unit = self.unit(engine);
        match done {
            Ok(()) => {
                if is_whole {
                    // Without memory for that it stays one.
                    let _ = engine.clear_suspect(unit);
                }
                self.done(engine)
            }
            Err(_) if is_whole => self.verify(engine, unit, false),
            Err(status) if is_bad_sector(status) => self.ask_reads(engine, status),
            Err(status) => self.end(engine, status),
        }
    }

    /// Finds out what a read that failed for good says.
    pub(super) fn judge<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        spare: Option<SpareUnit>,
        status: Status,
        now: u64,
    ) -> Action {
        let is_pointless = match spare {
            Some(_) => false,
            None => !engine.is_closed() || engine.is_main_away(now),
        };
        if is_pointless {
            return self.end(engine, status);
        }
        let probe = match spare {
            Some(_) => Probe::SpareReads,
            None => Probe::MainReads,
        };
        let ticket = engine.ask(probe, self.unit(engine));
        self.step = Step::Judging(ticket, status, spare);
        Action::Wait(Key::Probe)
    }

    pub(super) fn judged<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        ticket: Ticket,
        status: Status,
        spare: Option<SpareUnit>,
    ) -> Action {
        match engine.answer(ticket) {
            None => Action::Wait(Key::Probe),
            // The unit moved meanwhile: it may be readable where it is now.
            Some(_) if !self.is_at(engine, spare) => {
                self.tries = 0;
                self.choose(engine)
            }
            Some(false) => self.end(engine, status),
            Some(true) => {
                let unit = self.unit(engine);
                if engine.state(unit) == State::Main {
                    engine.suspect(unit, self.piece.start);
                }
                self.end(engine, Status::Medium)
            }
        }
    }
}
