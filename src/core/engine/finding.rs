// SPDX-License-Identifier: GPL-2.0

//! A unit that the scrub could not read: a suspect, unless main as a whole does not work.
//!
//! | state | on | to |
//! |---|---|---|
//! | `Begin` | the breaker is closed | `AskingReads` |
//! | `AskingReads` | main can be read elsewhere | `AskingWrites` |
//! | `AskingWrites` | main takes a commit | end: the unit is a suspect |
//! | any | it does not | end: the breaker opens |

use super::memory::Memory;
use super::probe::{
    Probe,
    Ticket, //
};
use super::task::{
    Action,
    Key,
    Turn, //
};
use super::Engine;
use crate::geometry::Unit;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Begin,
    AskingReads(Ticket),
    AskingWrites(Ticket),
}

/// A unit that could not be read.
#[derive(Clone, Debug)]
pub struct Finding {
    unit: Unit,
    step: Step,
}

impl Finding {
    /// `unit` could not be read.
    pub fn new(unit: Unit) -> Self {
        Self {
            unit,
            step: Step::Begin,
        }
    }

    /// The name of its state.
    pub const fn state(&self) -> &'static str {
        match self.step {
            Step::Begin => "Begin",
            Step::AskingReads(_) => "AskingReads",
            Step::AskingWrites(_) => "AskingWrites",
        }
    }

    /// Goes on; in the end it says whether the unit is a suspect that was none.
    pub fn step<M: Memory>(&mut self, engine: &mut Engine<M>) -> Turn<bool> {
        let wait = Turn::Act(Action::Wait(Key::Probe));
        match self.step {
            Step::Begin
                if engine.is_suspended || !engine.is_closed() || !engine.is_plain(self.unit) =>
            {
                Turn::Ended(false)
            }
            Step::Begin => {
                self.step = Step::AskingReads(engine.ask(Probe::MainReads, self.unit));
                wait
            }
            Step::AskingReads(ticket) => match engine.verdict(ticket) {
                None => wait,
                Some(false) => Turn::Ended(false),
                Some(true) => {
                    self.step = Step::AskingWrites(engine.ask(Probe::MainWrites, self.unit));
                    wait
                }
            },
            Step::AskingWrites(ticket) => match engine.verdict(ticket) {
                None => wait,
                Some(false) => Turn::Ended(false),
                Some(true) => {
                    let sector = engine.geometry().sectors_of(self.unit).start;
                    Turn::Ended(engine.suspect(self.unit, sector))
                }
            },
        }
    }
}
