// SPDX-License-Identifier: GPL-2.0

//! What administrators do.

use super::*;

/// How many units are read with a table that may not write.
const READS: u32 = 8;

impl World {
    pub(super) fn administer(&mut self) -> Result<(), String> {
        if self.chance(self.config.messages) {
            self.message()?;
        }
        if self.chance(self.config.commits) {
            self.engine.want_commit(None);
        }
        if self.chance(self.config.suspends) {
            self.suspend()?;
        }
        Ok(())
    }

    pub(super) fn message(&mut self) -> Result<(), String> {
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
            8 => return self.ask_checkpoint(Which::All),
            _ => return self.ask_checkpoint(Which::Dropped),
        };
        self.spawn(machine, 0);
        Ok(())
    }

    /// Suspends the device, as a reload does, and resumes it.
    pub(super) fn suspend(&mut self) -> Result<(), String> {
        self.engine.set_suspended(true);
        self.after_engine()?;
        self.drain()?;
        self.check_accounts()?;
        self.engine.want_commit(Some(End::default()));
        self.drain()?;
        if self.rng.u8(0..4) == 0 {
            self.look_only()?;
        }
        self.begin_writing()?;
        self.engine.set_suspended(false);
        for (id, kind, sectors) in std::mem::take(&mut self.requeued) {
            self.submit(id, kind, sectors);
            self.end_part(id, Ok(()));
        }
        Ok(())
    }

    /// Has the device read with a table that may not write, and suspends it again.
    fn look_only(&mut self) -> Result<(), String> {
        let (session, updates) = (self.session, self.tally.updates);
        self.engine.set_writable(false);
        if self.engine.begin_writing() != Ok(None) {
            return Err("a table that may not write marks the array as in use".into());
        }
        self.engine.set_suspended(false);
        for _ in 0..READS {
            let unit = Unit(self.rng.u64(0..self.geometry.units()));
            self.client(Kind::Read, self.geometry.sectors_of(unit));
            self.advance()?;
        }
        self.drain()?;
        self.engine.set_suspended(true);
        self.engine.set_writable(true);
        // After a power cut another table has taken its place.
        match self.session == session && self.tally.updates != updates {
            true => Err("a table that may not write has the metadata written".into()),
            false => Ok(()),
        }
    }

    /// Marks the array as in use, as a resume does before anything else is written.
    fn begin_writing(&mut self) -> Result<(), String> {
        let (session, failures) = (self.session, self.promises.failed_orders);
        let begun = self.engine.begin_writing();
        let is_begun = begun.map_err(|error| format!("{error:?}"))?.is_some();
        if !is_begun && !self.engine.is_read_only() {
            return Err("a resume does not mark the array as in use".into());
        }
        self.drain()?;
        let is_undisturbed = self.session == session && self.promises.failed_orders == failures;
        match is_begun && is_undisturbed && self.engine.lacks_region() {
            true => Err("a resume leaves a region behind".into()),
            false => Ok(()),
        }
    }
}
