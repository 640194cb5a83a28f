// SPDX-License-Identifier: GPL-2.0

//! Moving a unit back to main.
//!
//! | state | on | to |
//! |---|---|---|
//! | `Claiming` | a claim of a relocated unit of which no block is lost | `Quiescing`, and the gate is closed |
//! | `Claiming` | another machine's claim | `Claiming`, when that ended |
//! | `Quiescing` | no I/O of older maps is left | `Reading` the spare unit |
//! | `Reading` | the data | `Writing` them to main |
//! | `Writing` | main has them | `Checking`: they are read from main |
//! | `Checking` | the data | `Comparing` |
//! | `Comparing` | they are alike | `Staging` |
//! | `Staging` | the group has room | end: the claim ends with the commit |
//! | any | what forbids the move | end: the unit is open again, as it was |

use super::change::{
    Change,
    OnFailure, //
};
use super::memory::Memory;
use super::task::{
    Action,
    Data,
    Event,
    Io,
    Key,
    Turn,
    Verb, //
};
use super::Engine;
use crate::geometry::{
    SpareUnit,
    Unit, //
};
use crate::index::State;

/// Why a unit stays on the spare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It is not relocated.
    NotRelocated,
    /// Blocks of it are lost.
    Lost,
    /// The spare does not give its data.
    SpareFails,
    /// Main does not take them, or gives others back.
    MainFails,
    /// No region of the metadata can be written.
    ReadOnly,
    /// No memory.
    NoMemory,
    /// The device is suspended.
    Suspended,
}

/// How an unrelocation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is staged, and durable with the commit of the group of this number.
    Staged {
        /// The number of the group.
        group: u64,
    },
    /// The unit stays where it is.
    Stays(Obstacle),
}

const fn stays(why: Obstacle) -> Turn<Outcome> {
    Turn::Ended(Outcome::Stays(why))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Claiming,
    Quiescing(SpareUnit),
    Reading(SpareUnit),
    Writing(SpareUnit),
    Checking(SpareUnit),
    Comparing(SpareUnit),
    Staging(SpareUnit),
}

/// A unit on its way back.
#[derive(Clone, Debug)]
pub struct Unrelocation {
    unit: Unit,
    step: Step,
}

impl Unrelocation {
    /// Moves `unit` back to main.
    pub fn new(unit: Unit) -> Self {
        Self {
            unit,
            step: Step::Claiming,
        }
    }

    /// The name of its state.
    pub const fn state(&self) -> &'static str {
        match self.step {
            Step::Claiming => "Claiming",
            Step::Quiescing(_) => "Quiescing",
            Step::Reading(_) => "Reading",
            Step::Writing(_) => "Writing",
            Step::Checking(_) => "Checking",
            Step::Comparing(_) => "Comparing",
            Step::Staging(_) => "Staging",
        }
    }

    /// Goes on after `event`.
    pub fn step<M: Memory>(&mut self, engine: &mut Engine<M>, event: Event) -> Turn<Outcome> {
        let done = match event {
            Event::Io(done) => Some(done),
            _ => None,
        };
        match (self.step, done) {
            (Step::Claiming, _) => self.claim(engine),
            (Step::Quiescing(spare), _) if event == Event::Quiesced => {
                self.io(engine, Step::Reading(spare))
            }
            (Step::Quiescing(_), _) => Turn::Act(Action::Quiesce),
            (Step::Reading(spare), Some(Ok(()))) => self.io(engine, Step::Writing(spare)),
            (Step::Reading(_), Some(Err(_))) => self.stay(engine, Obstacle::SpareFails),
            (Step::Writing(spare), Some(Ok(()))) => self.io(engine, Step::Checking(spare)),
            (Step::Checking(spare), Some(Ok(()))) => {
                self.step = Step::Comparing(spare);
                Turn::Act(Action::Compare(engine.geometry().sectors_of(self.unit)))
            }
            (Step::Writing(_) | Step::Checking(_) | Step::Comparing(_), Some(Err(_))) => {
                self.stay(engine, Obstacle::MainFails)
            }
            (Step::Comparing(spare), Some(Ok(()))) | (Step::Staging(spare), _) => {
                self.stage(engine, spare)
            }
            (step, None) => self.io(engine, step),
        }
    }

    fn claim<M: Memory>(&mut self, engine: &mut Engine<M>) -> Turn<Outcome> {
        if let Err(why) = self.place(engine) {
            return stays(why);
        }
        if engine.is_read_only() {
            return stays(Obstacle::ReadOnly);
        }
        if engine.is_suspended {
            return stays(Obstacle::Suspended);
        }
        match engine.claim(self.unit) {
            Ok(()) => {}
            Err(Key::Memory) => return stays(Obstacle::NoMemory),
            Err(key) => return Turn::Act(Action::Wait(key)),
        }
        let spare = match self.place(engine) {
            Ok(spare) => spare,
            Err(why) => return self.stay(engine, why),
        };
        if engine.close_gate(self.unit).is_err() {
            return self.stay(engine, Obstacle::NoMemory);
        }
        self.step = Step::Quiescing(spare);
        Turn::Act(Action::Quiesce)
    }

    /// Where the unit is on the spare, if all of it is there.
    fn place<M: Memory>(&self, engine: &Engine<M>) -> Result<SpareUnit, Obstacle> {
        let all = engine.geometry().blocks_of(self.unit);
        match engine.state(self.unit) {
            State::Relocated { spare, valid } if valid.contains(all) => Ok(spare),
            State::Relocated { .. } => Err(Obstacle::Lost),
            State::Main | State::Suspect => Err(Obstacle::NotRelocated),
        }
    }

    /// Does the I/O of a step.
    fn io<M: Memory>(&mut self, engine: &Engine<M>, step: Step) -> Turn<Outcome> {
        self.step = step;
        let (place, verb, data) = match step {
            Step::Claiming => return Turn::Act(Action::Wait(Key::Unit(self.unit))),
            Step::Writing(_) => (None, Verb::Write, Data::Unit),
            Step::Checking(_) => (None, Verb::Read, Data::Check),
            Step::Quiescing(spare)
            | Step::Reading(spare)
            | Step::Comparing(spare)
            | Step::Staging(spare) => (Some(spare), Verb::Read, Data::Unit),
        };
        let geometry = engine.geometry();
        let sectors = geometry.sectors_of(self.unit);
        Turn::Act(Action::Io(Io::of_unit(
            geometry, place, verb, sectors, data,
        )))
    }

    fn stage<M: Memory>(&mut self, engine: &mut Engine<M>, spare: SpareUnit) -> Turn<Outcome> {
        if engine.is_read_only() {
            return self.stay(engine, Obstacle::ReadOnly);
        }
        self.step = Step::Staging(spare);
        let change = Change {
            unit: self.unit,
            after: State::Main,
            on_failure: OnFailure::Stuck,
        };
        match engine.stage(change, core::iter::empty(), Some(spare)) {
            Ok(group) => Turn::Ended(Outcome::Staged { group }),
            Err(key) => Turn::Act(Action::Wait(key)),
        }
    }

    fn stay<M: Memory>(&mut self, engine: &mut Engine<M>, why: Obstacle) -> Turn<Outcome> {
        engine.open_gate(self.unit);
        stays(why)
    }
}
