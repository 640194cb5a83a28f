// SPDX-License-Identifier: GPL-2.0

//! What goes wrong: outages, bad sectors, power cuts.

use super::*;

impl World {
    pub(super) fn misfortune(&mut self) -> Result<(), String> {
        if self.chance(self.config.power_cuts) {
            self.cut_power()?;
        }
        if !self.chance(self.config.faults) {
            return Ok(());
        }
        if self.chance(self.config.outages) {
            self.outage();
        } else if self.config.outages > 0 && self.chance(4) {
            self.break_spare();
        } else {
            self.break_main();
        }
        Ok(())
    }

    pub(super) fn is_away(&self) -> bool {
        self.main.mode == Mode::Away || self.spare.mode == Mode::Away
    }

    pub(super) fn note_outage(&mut self) {
        self.last_outage = self.oracle.moment();
    }

    pub(super) fn outage(&mut self) {
        let mode = match self.rng.u8(0..4) {
            0 => Mode::Away,
            1 => Mode::ReadOnly,
            _ => Mode::Well,
        };
        self.note_outage();
        match self.rng.bool() {
            true => self.main.mode = mode,
            false => self.spare.mode = mode,
        }
        if mode == Mode::Well {
            self.main.mode = mode;
            self.spare.mode = mode;
            self.engine.rearm();
        }
    }

    pub(super) fn break_main(&mut self) {
        let sector = self.rng.u64(0..self.geometry.sectors());
        let at = self.geometry.on_main(sector);
        let fault = match self.rng.u8(0..8) {
            0 => Fault::Unreadable,
            1 => Fault::Forgetful,
            2 | 3 => Fault::Unwritable,
            4 | 5 => Fault::Dead,
            6 => Fault::Flaky(self.rng.u32(1..6)),
            _ if self.config.outages > 0 => Fault::Path(self.rng.u32(1..4)),
            _ => Fault::Dead,
        };
        // A unit on its way back, or of which a commit is not known, may be on main whatever the
        // map says.
        let entry = self.engine.map().get(self.geometry.unit_of(sector));
        let is_relocated = entry.is_some_and(|entry| {
            entry.gate == Gate::Open && matches!(entry.state, State::Relocated { .. })
        });
        let is_elsewhere = is_relocated && self.engine.claimed() == 0;
        let fault = match fault {
            // Nobody could tell but whoever compares, which is done before a unit is used there.
            Fault::Dead if is_elsewhere && self.rng.bool() => Fault::Deaf,
            fault => fault,
        };
        match fault {
            Fault::Unwritable => {}
            Fault::Path(_) => self.note_outage(),
            _ if is_elsewhere => {}
            _ => self.oracle.may_fail(&(sector..sector + 1)),
        }
        self.trace(|| format!("main {at}: {fault:?}"));
        self.main.set_fault(at, Some(fault));
    }

    pub(super) fn break_spare(&mut self) {
        if self.chance(3) {
            let region = Region(self.rng.usize(0..MAX_REGIONS));
            let number = self.rng.u64(0..256);
            if let Some((device, at)) = self.places().of(region, number) {
                self.disk(device).set_fault(at, Some(Fault::Unwritable));
            }
            return;
        }
        // What is on its way there, or may be there, could be lost without anybody who knows.
        if self.engine.claimed() > 0 || self.engine.is_read_only() {
            return;
        }
        let spare = remap_core::geometry::SpareUnit(self.rng.u64(0..self.geometry.spare_units()));
        let offset = self.rng.u64(0..self.geometry.unit_sectors());
        let at = self.geometry.on_spare(spare, offset);
        let owner = self.engine.map().iter_from(Unit(0)).find(
            |(_, entry)| matches!(entry.state, State::Relocated { spare: own, .. } if own == spare),
        );
        let fault = match self.rng.u8(0..4) {
            0 => Fault::Unreadable,
            1 => Fault::Unwritable,
            2 => Fault::Flaky(self.rng.u32(1..6)),
            _ => Fault::Dead,
        };
        if let Some((unit, _)) = owner {
            let sector = self.geometry.sectors_of(unit).start + offset;
            if sector < self.geometry.sectors() && fault != Fault::Unwritable {
                self.oracle.may_fail(&(sector..sector + 1));
            }
        }
        self.trace(|| format!("spare {at}: {fault:?}, of {owner:?}"));
        self.spare.set_fault(at, Some(fault));
    }

    pub(super) fn cut_power(&mut self) -> Result<(), String> {
        self.tally.power_cuts += 1;
        for pending in std::mem::take(&mut self.ios) {
            if pending.io.verb == Verb::Write {
                let data = self.data_of(&pending);
                let is_durable = matches!(pending.who, Who::Task(_));
                let kept = self.rng.usize(0..=data.len());
                let disk = self.disk(pending.io.device);
                for (sector, content) in (pending.io.at..).zip(data.iter().take(kept)) {
                    disk.put(sector, content, is_durable);
                }
            }
        }
        for (region, order, block) in std::mem::take(&mut self.orders) {
            let (RegionIo::Write(number) | RegionIo::WriteThrough(number)) = order else {
                continue;
            };
            let kept = self.rng.usize(0..=8);
            if let Some((device, at)) = self.places().of(region, number) {
                let is_durable = matches!(order, RegionIo::WriteThrough(_));
                for (sector, content) in (at..).zip(sectors_of(&block).iter().take(kept)) {
                    self.disk(device).put(sector, content, is_durable);
                }
            }
        }
        let rng = &mut self.rng;
        self.main.cut_power(|| rng.bool());
        self.spare.cut_power(|| rng.bool());
        for (_, operation) in std::mem::take(&mut self.operations) {
            if !matches!(operation.kind, Kind::Read | Kind::Discard) {
                self.oracle
                    .may_have_written(&operation.sectors, operation.value);
            }
        }
        self.oracle.cut_power();
        self.tasks.clear();
        self.flushes.clear();
        self.requeued.clear();
        self.ready.clear();
        self.sleeping.clear();
        self.quiescing.clear();
        self.reset_buffers();
        self.sections.clear();
        self.in_use.clear();
        (self.is_updating, self.has_prober) = (false, false);
        self.boot()
    }

    /// Loads the array anew.
    pub(super) fn boot(&mut self) -> Result<(), String> {
        self.main.mode = Mode::Well;
        self.spare.mode = Mode::Well;
        self.was_read_only = false;
        self.session += 1;
        self.engine = engine(&self.geometry, self.config.nodes);
        let (geometry, places) = (self.geometry, self.places());
        let mut storage = Regions {
            places,
            main: &mut self.main,
            spare: &mut self.spare,
        };
        let choice = choose(&mut storage, &mut self.block, &geometry.regions())
            .map_err(|refused| format!("not loaded: {refused:?}"))?;
        let memory = state_memory(&geometry, self.config.nodes);
        let place = (&mut *self.block, &choice);
        let read = Restored::read(&geometry, memory, &mut storage, place, |_| {
            Ok::<(), NotLoaded>(())
        });
        let (restored, _) = read.map_err(|error| error.to_string())?;
        let journal = Journal::resume(&choice, self.session);
        self.engine.activate(restored, journal);
        let begun = self.engine.begin_writing();
        begun.map_err(|error| format!("{error:?}"))?;
        self.renew_promises();
        self.publish();
        self.configure();
        Ok(())
    }
}
