// SPDX-License-Identifier: GPL-2.0

//! What the engine tells administrators, held against what is so.

use super::*;
use remap_core::engine::notice::Notice;
use remap_core::metadata::journal::Journal;

/// After so many updates without a failure, each region has been tried again.
const UPDATES: u64 = 20;

/// A checkpoint that an administrator waits for.
struct Asked {
    number: u64,
    which: Which,
    /// How many orders had failed before, and how many checkpoints were begun.
    failures: u64,
    begun: u64,
}

/// What was told since the array was loaded.
#[derive(Default)]
pub struct Promises {
    asked: Vec<Asked>,
    /// How many regions were good, and how many there are, as told last.
    regions: (usize, usize),
    /// Spare units that had been retired, and those that were counted since.
    retired: u64,
    /// How many orders failed, and how many updates were begun since the last did.
    pub failed_orders: u64,
    pub updates: u64,
    /// How many checkpoints were begun.
    pub checkpoints: u64,
}

impl World {
    /// The array was loaded: nothing was told yet.
    pub(super) fn renew_promises(&mut self) {
        self.promises = Promises {
            regions: self.regions(),
            retired: self.engine.spares().retired(),
            failed_orders: self.promises.failed_orders,
            ..Promises::default()
        };
    }

    /// How many regions are good, and how many there are.
    fn regions(&self) -> (usize, usize) {
        let journal = self.engine.journal();
        journal.map_or((0, 0), |journal| (journal.good(), journal.total()))
    }

    /// Asks for a checkpoint, as an administrator who waits for it.
    pub(super) fn ask_checkpoint(&mut self, which: Which) -> Result<(), String> {
        let number = self.engine.want_checkpoint(which);
        let is_early = self.engine.checkpoint_outcome(number).is_some();
        if is_early && !self.engine.is_read_only() {
            return Err("a checkpoint has an outcome before it was begun".into());
        }
        self.promises.asked.push(Asked {
            number,
            which,
            failures: self.promises.failed_orders,
            begun: self.promises.checkpoints,
        });
        Ok(())
    }

    /// Takes note of what the engine counts and says.
    pub(super) fn heed(&mut self) -> Result<(), String> {
        let counts = self.engine.take_counts();
        self.tally.no_spare += counts.no_spare;
        self.tally.relocated += counts.relocated;
        self.promises.retired += counts.retired;
        let notices = self.engine.take_notices();
        self.tally.events += u64::from(notices.is_event_due());
        for notice in notices.iter() {
            match notice {
                Notice::Suspect { .. } => self.tally.suspects += 1,
                Notice::ReadOnly => {
                    self.tally.read_only += 1;
                    self.was_read_only = true;
                }
                Notice::Tripped(_) => self.tally.tripped += 1,
                Notice::Regions(good, total) => {
                    let before = std::mem::replace(&mut self.promises.regions, (*good, *total));
                    if before == self.promises.regions {
                        return Err(format!("{before:?} regions were told again"));
                    }
                }
                Notice::Level(0) => return Err("a level was told that none is".into()),
                Notice::Level(level) => self.tally.level = *level,
                Notice::MapIncomplete => return Err("the map is incomplete".into()),
                _ => {}
            }
        }
        let states = self.tasks.values().flat_map(|task| task.machine.states());
        let queued = states
            .filter(|state| *state == ("Request", "Queued"))
            .count() as u64;
        let told = self.engine.waiting_for_spare();
        if queued != told {
            return Err(format!(
                "{queued} writes wait for a spare unit, and {told} are counted"
            ));
        }
        for asked in std::mem::take(&mut self.promises.asked) {
            match self.engine.checkpoint_outcome(asked.number) {
                None => self.promises.asked.push(asked),
                Some(written) => self.check_checkpoint(&asked, written.unwrap_or(0))?,
            }
        }
        Ok(())
    }

    /// With nothing under way, all that was asked for was answered, and what was told is so.
    pub(super) fn check_promises(&mut self) -> Result<(), String> {
        if !self.promises.asked.is_empty() {
            return Err("a checkpoint never ends".into());
        }
        // That nothing can be committed says all of the regions.
        if self.engine.is_read_only() {
            return Ok(());
        }
        let (now, told) = (self.regions(), self.promises.regions);
        if now != told {
            return Err(format!("regions: {told:?} were told, and {now:?} are good"));
        }
        let (good, total) = now;
        if good < total && self.promises.updates > UPDATES {
            return Err(format!(
                "{good} of {total} regions, and none is tried again"
            ));
        }
        if good == total && self.engine.withheld() > 0 {
            return Err("spare units are withheld from all regions".into());
        }
        let (told, now) = (self.promises.retired, self.engine.spares().retired());
        match told == now {
            true => Ok(()),
            false => Err(format!(
                "{told} retired units were counted, and there are {now}"
            )),
        }
    }

    /// Looks at how many regions a checkpoint that was asked for was `written` to.
    fn check_checkpoint(&self, asked: &Asked, written: usize) -> Result<(), String> {
        if self.engine.is_read_only() {
            return Ok(());
        }
        if self.promises.checkpoints == asked.begun {
            return Err("a checkpoint has ended that was not begun".into());
        }
        let total = self.engine.journal().map_or(0, Journal::total);
        let is_undisturbed = self.promises.failed_orders == asked.failures;
        match is_undisturbed && asked.which == Which::All && written < total {
            true => Err(format!(
                "a checkpoint of all regions wrote {written} of {total}"
            )),
            false => Ok(()),
        }
    }
}
