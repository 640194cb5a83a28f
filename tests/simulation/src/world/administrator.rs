// SPDX-License-Identifier: GPL-2.0

//! What administrators do.

use super::*;

impl World {
    pub(super) fn administer(&mut self) -> Result<(), String> {
        if self.chance(self.config.messages) {
            self.message();
        }
        if self.chance(self.config.commits) {
            self.engine.want_commit(None);
        }
        if self.chance(self.config.suspends) {
            self.suspend()?;
        }
        Ok(())
    }

    pub(super) fn message(&mut self) {
        let unit = Unit(self.rng.u64(0..self.geometry.units()));
        let machine = match self.rng.u8(0..10) {
            0..=2 => {
                let is_lossy = self.rng.u8(0..4) == 0;
                let cause = Cause::Message { is_lossy };
                Machine::Relocation(Relocation::new(unit, cause, 0))
            }
            3 if self.engine.map().get(unit).is_none() => {
                Machine::Relocation(Relocation::new(unit, Cause::Weak, 0))
            }
            3..=6 => Machine::Unrelocation(Unrelocation::new(unit)),
            7 => Machine::Finding(Finding::new(unit)),
            8 => {
                self.engine.want_checkpoint(Which::All);
                return;
            }
            _ => {
                self.engine.want_checkpoint(Which::Dropped);
                return;
            }
        };
        self.spawn(machine, 0);
    }

    /// Suspends the device, as a reload does, and resumes it.
    pub(super) fn suspend(&mut self) -> Result<(), String> {
        self.engine.set_suspended(true);
        self.after_engine()?;
        self.drain()?;
        if !self.tasks.is_empty() {
            return Err("a suspend waits for ever".into());
        }
        self.check_accounts()?;
        self.engine.want_commit(Some(End::default()));
        self.drain()?;
        self.engine.set_suspended(false);
        for (id, kind, sectors) in std::mem::take(&mut self.requeued) {
            self.submit(id, kind, sectors);
            self.end_part(id, Ok(()));
        }
        Ok(())
    }
}
