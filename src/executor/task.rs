// SPDX-License-Identifier: GPL-2.0

//! A machine on its way, and what it needs there.

use super::{
    buffers::Buffers,
    report::{
        Outcome,
        Report, //
    }, //
};
use crate::{
    bio_context::BioContext,
    errors, //
};
use kernel::sync::{
    rcu,
    Arc, //
};
use kernel_ext::{
    bio::Status,
    device_mapper::OwnedBio,
    published::Held,
    submit::Submitter,
    unique::Unique, //
};
use remap_core::{
    classify,
    engine::{
        finding::Finding,
        memory::Memory,
        probe::Prober,
        relocation::Relocation,
        request::Request,
        task::{
            Action,
            Event,
            Key,
            Turn, //
        },
        unrelocation::Unrelocation,
        Engine, //
    },
    geometry::Unit, //
};

/// A machine of the engine.
pub(crate) enum Machine {
    Request(Request),
    Relocation(Relocation),
    Unrelocation(Unit, Unrelocation),
    Finding(Unit, Finding),
    Prober(Prober),
}

/// What is to be done next.
pub(crate) enum Next {
    /// The machine goes on after this.
    Step(Event),
    /// This is begun, and the machine goes on when it has ended.
    Begin(Action),
    /// The machine waits for this.
    Wait(Key),
}

/// Where a task takes its steps. Both in any context.
pub(crate) trait Home: Send + Sync {
    /// Takes a task that is ready. It is to be woken then.
    fn push(&self, task: Unique<Task>);

    /// Has what was pushed seen to.
    fn wake(self: Arc<Self>);
}

/// A machine on its way.
pub(crate) struct Task {
    pub(crate) machine: Machine,
    /// Where it takes its steps.
    home: Arc<dyn Home>,
    /// The bio that a request serves.
    pub(crate) bio: Option<OwnedBio<BioContext>>,
    pub(crate) buffers: Option<Buffers>,
    /// The section of I/O that goes where the map says.
    pub(crate) section: Option<Held>,
    pub(crate) next: Next,
    /// When a pause ends, in milliseconds of the instance.
    pub(crate) until: u64,
    /// Who wants to know what came of it, and what did.
    pub(crate) report: Option<Arc<Report>>,
    pub(crate) outcome: Option<Outcome>,
}

impl Task {
    /// A machine that begins.
    pub(crate) fn new(machine: Machine, home: Arc<dyn Home>) -> Self {
        Self {
            machine,
            home,
            bio: None,
            buffers: None,
            section: None,
            next: Next::Step(Event::Begin),
            until: 0,
            report: None,
            outcome: None,
        }
    }

    /// Has the machine go on; what it wants.
    pub(crate) fn step<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        event: Event,
        now: u64,
    ) -> Action {
        let (action, outcome) = match &mut self.machine {
            Machine::Request(request) => (request.step(engine, event, now), None),
            Machine::Prober(prober) => (prober.step(engine, event, now), None),
            Machine::Relocation(relocation) => {
                with(Outcome::Relocation, relocation.step(engine, event, now))
            }
            Machine::Unrelocation(_, unrelocation) => {
                with(Outcome::Unrelocation, unrelocation.step(engine, event))
            }
            Machine::Finding(_, finding) => {
                with(|is_new| Outcome::Finding { is_new }, finding.step(engine))
            }
        };
        self.outcome = outcome;
        action
    }

    /// The unit that the machine is about, if it is about one.
    pub(crate) fn unit(&self) -> Option<Unit> {
        match &self.machine {
            Machine::Relocation(relocation) => Some(relocation.unit()),
            Machine::Unrelocation(unit, _) | Machine::Finding(unit, _) => Some(*unit),
            Machine::Request(_) | Machine::Prober(_) => None,
        }
    }

    /// Ends the section of I/O that has ended, or was not begun. Any context.
    pub(super) fn end_section(&mut self) {
        if let Some(section) = self.section.take() {
            section.release();
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.end_section();
    }
}

/// What a machine wants that is no request, and its outcome once it has ended.
fn with<O>(outcome: impl FnOnce(O) -> Outcome, turn: Turn<O>) -> (Action, Option<Outcome>) {
    match turn {
        Turn::Act(action) => (action, None),
        Turn::Ended(own) => (Action::End(classify::Status::Ok), Some(outcome(own))),
    }
}

impl Submitter for Task {
    fn ended(this: Unique<Self>, done: Result<(), Status>) {
        go_on(this, Event::Io(done.map_err(errors::classified)));
    }
}

/// Has the machine go on after `event`. Any context.
pub(crate) fn go_on(mut task: Unique<Task>, event: Event) {
    task.end_section();
    task.next = Next::Step(event);
    make_ready(task);
}

/// Has a task taken up where it takes its steps. Any context.
pub(crate) fn make_ready(task: Unique<Task>) {
    let home = task.home.clone();
    // The task may have ended, and the table with it, before the home is woken. Device mapper waits
    // for a grace period before it destroys a table, and so for this section.
    let guard = rcu::read_lock();
    home.push(task);
    home.wake();
    drop(guard);
}
