// SPDX-License-Identifier: GPL-2.0

//! Probes: whether a device works at all, so that a bad sector is told from a device that fails.
//!
//! Whoever needs an answer takes a [`Ticket`]. A probe that begins after that answers all tickets
//! that there are; one that was under way before answers none of them, since it may have looked
//! before the device failed.

use super::memory::Memory;
use super::probes::AWAY;
pub use super::probes::{
    Probe,
    Ticket, //
};
use super::task::{
    Action,
    Data,
    Device,
    Event,
    Io,
    Key,
    Verb, //
};
use super::Engine;
use crate::breaker::Trip;
use crate::classify::Status;
use crate::geometry::Unit;

impl<M: Memory> Engine<M> {
    /// Asks a question, since `unit` failed.
    pub(super) fn ask(&mut self, probe: Probe, unit: Unit) -> Ticket {
        let mut number = 0;
        if let Some(kind) = self.probes.kind(probe) {
            if !kind.is_wanted {
                (kind.is_wanted, kind.unit) = (true, unit);
            }
            number = kind.begun + 1;
        }
        Ticket { probe, number }
    }

    /// The answer, once there is one.
    pub(super) fn answer(&self, ticket: Ticket) -> Option<bool> {
        let kind = self.probes.kinds.get(ticket.probe as usize)?;
        (kind.ended >= ticket.number).then_some(kind.works)
    }

    /// The answer about main, once there is one. The breaker opens if main does not work.
    pub(super) fn verdict(&mut self, ticket: Ticket) -> Option<bool> {
        let works = self.answer(ticket)?;
        if !works {
            self.trip(match ticket.probe {
                Probe::MainWrites => Trip::Unwritable,
                _ => Trip::Unreadable,
            });
        }
        Some(works)
    }

    /// Whether it was found a moment ago that nothing on main can be read.
    pub(super) fn is_main_away(&self, now: u64) -> bool {
        let failed = self.probes.main_failed_at;
        failed.is_some_and(|at| now.saturating_sub(at) < AWAY)
    }

    /// Whether a [`Prober`] is to be run, of which there is one.
    pub fn wants_probe(&self) -> bool {
        self.probes.kinds.iter().any(|kind| kind.is_wanted)
    }

    /// Begins the next probe that is wanted.
    fn begin_probe(&mut self) -> Option<(Probe, Unit)> {
        let wanted = |probe: &Probe| {
            let kind = self.probes.kinds.get(*probe as usize);
            kind.is_some_and(|kind| kind.is_wanted)
        };
        let probe = Probe::ALL.into_iter().find(wanted)?;
        let kind = self.probes.kind(probe)?;
        (kind.begun, kind.is_wanted) = (kind.begun + 1, false);
        Some((probe, kind.unit))
    }

    fn end_probe(&mut self, probe: Probe, works: bool, now: u64) {
        if probe == Probe::MainReads {
            self.probes.main_failed_at = (!works).then_some(now);
        }
        if let Some(kind) = self.probes.kind(probe) {
            (kind.ended, kind.works) = (kind.begun, works);
        }
        self.wake(Key::Probe);
    }
}

/// The machine that makes the probes, one after the other.
///
/// | state | on | to |
/// |---|---|---|
/// | `Idle` | a probe of reads is wanted | `Reading` a block where nothing bad is known |
/// | `Idle` | a probe of writes is wanted | `Committing`: an empty commit is written |
/// | `Reading` | the block cannot be read | `Reading` at the next place |
/// | `Reading`, `Committing` | there is an answer | the next probe that is wanted, or the end |
#[derive(Debug, Default)]
pub struct Prober {
    /// The probe under way.
    probe: Option<(Probe, Unit)>,
    /// How many places were read in vain.
    tried: usize,
    /// The group of an empty commit.
    group: Option<u64>,
}

impl Prober {
    /// The name of its state.
    pub const fn state(&self) -> &'static str {
        match (self.probe, self.group) {
            (None, _) => "Idle",
            (Some(_), None) => "Reading",
            (Some(_), Some(_)) => "Committing",
        }
    }

    /// Goes on after `event`. It ends when no probe is wanted.
    pub fn step<M: Memory>(&mut self, engine: &mut Engine<M>, event: Event, now: u64) -> Action {
        let answer = match event {
            Event::Io(Ok(())) => Some(true),
            Event::Io(Err(_)) => {
                self.tried += 1;
                None
            }
            _ => None,
        };
        let mut answer = answer.or_else(|| self.commit_answer(engine));
        loop {
            if let (Some((probe, _)), Some(works)) = (self.probe, answer.take()) {
                engine.end_probe(probe, works, now);
                *self = Self::default();
            }
            if self.probe.is_none() {
                self.probe = engine.begin_probe();
            }
            let Some((probe, unit)) = self.probe else {
                return Action::End(Status::Ok);
            };
            match self.look(engine, probe, unit) {
                Ok(action) => return action,
                Err(works) => answer = Some(works),
            }
        }
    }

    /// What an empty commit said, if it has ended.
    fn commit_answer<M: Memory>(&self, engine: &Engine<M>) -> Option<bool> {
        let outcome = engine.outcome(self.group?)?;
        Some(match self.probe?.0 {
            // Where no commit can be made nothing is relocated, whatever main does.
            Probe::MainWrites => {
                let took_one = engine.probes.watched.and_then(|(_, answer)| answer);
                outcome.is_err() || took_one != Some(false)
            }
            _ => outcome.is_ok(),
        })
    }

    /// Looks at the next place, or has the answer.
    fn look<M: Memory>(
        &mut self,
        engine: &mut Engine<M>,
        probe: Probe,
        unit: Unit,
    ) -> Result<Action, bool> {
        let geometry = *engine.geometry();
        match probe {
            Probe::MainReads if geometry.units() == 1 => Err(true),
            Probe::MainReads => {
                let other = geometry.far_from(unit).nth(self.tried).ok_or(false)?;
                let other = near_without_entry(engine, other);
                let at = geometry.on_main(geometry.sectors_of(other).start);
                Ok(read(Device::Main, at, geometry.block_sectors()))
            }
            Probe::SpareReads => {
                let at = geometry.spare_regions().get(self.tried).copied();
                let at = at.ok_or(false)?;
                Ok(read(Device::Spare, at, geometry.block_sectors()))
            }
            Probe::MainWrites if !engine.can_commit_to_main() => Err(true),
            Probe::MainWrites | Probe::SpareWrites => {
                let number = *self.group.get_or_insert_with(|| engine.want_commit(None));
                if engine.probes.watched.map(|(own, _)| own) != Some(number) {
                    engine.probes.watched = Some((number, None));
                }
                Ok(Action::Wait(Key::Commit(number)))
            }
        }
    }
}

/// A unit of which nothing bad is known, at or behind `unit` where there is one near.
fn near_without_entry<M: Memory>(engine: &Engine<M>, unit: Unit) -> Unit {
    const NEAR: u64 = 64;
    let end = engine.geometry().units();
    let near = (0..NEAR).map(|ahead| Unit(unit.0.saturating_add(ahead)));
    let mut near = near.take_while(|unit| unit.0 < end);
    let is_plain = |unit: &Unit| engine.map().get(*unit).is_none();
    near.find(is_plain).unwrap_or(unit)
}

/// A block that is read to see whether it can be.
fn read(device: Device, at: u64, sectors: u64) -> Action {
    Action::Io(Io {
        device,
        verb: Verb::Read,
        at,
        sectors: 0..sectors,
        data: Data::Check,
        is_mapped: false,
    })
}
