// SPDX-License-Identifier: GPL-2.0

//! What must hold when nothing is under way.

use super::*;

impl World {
    /// With nothing under way, each spare unit that is used is used by one unit.
    pub(super) fn check_accounts(&mut self) -> Result<(), String> {
        if self.was_read_only {
            return Ok(());
        }
        if self.engine.claimed() > 0 {
            return Err("units are claimed, and nobody is at work".into());
        }
        if self.engine.promised() > 0 {
            return Err("memory is promised, and nobody is at work".into());
        }
        if self.engine.admitted() > 0 {
            return Err("the breaker waits for units that nobody moves".into());
        }
        self.engine.put_back_spares();
        self.check_totals()?;
        let mut used = BTreeSet::new();
        for (unit, entry) in self.engine.map().iter_from(Unit(0)) {
            if entry.gate != Gate::Open {
                return Err(format!("{unit:?} is left shut"));
            }
            if let State::Relocated { spare, .. } = entry.state {
                if !used.insert(spare.0) {
                    return Err(format!("{spare:?} is used twice"));
                }
            }
        }
        let (have, want) = (self.engine.spares().in_use(), used.len() as u64);
        let withheld = self.engine.withheld() as u64;
        match have == want + withheld && self.engine.spares().aside() == 0 {
            true => Ok(()),
            false => Err(format!(
                "{have} spare units are in use, {want} units relocated"
            )),
        }
    }

    /// What the status says is what is in the map.
    fn check_totals(&self) -> Result<(), String> {
        let (mut relocated, mut suspects, mut lost) = (0, 0, 0);
        for (unit, entry) in self.engine.map().iter_from(Unit(0)) {
            match entry.state {
                State::Main => {}
                State::Suspect => suspects += 1,
                State::Relocated { valid, .. } => {
                    relocated += 1;
                    lost += u64::from(self.geometry.blocks_of(unit).minus(valid).count());
                }
            }
        }
        let want = (relocated, suspects, lost);
        let engine = &self.engine;
        let have = (engine.relocated(), engine.suspects(), engine.lost_blocks());
        match have == want {
            true => Ok(()),
            false => Err(format!("{have:?} are counted, and {want:?} are in the map")),
        }
    }
}
