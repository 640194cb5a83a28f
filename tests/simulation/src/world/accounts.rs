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
        if self.engine.admitted() > 0 {
            return Err("the breaker waits for units that nobody moves".into());
        }
        self.engine.put_back_spares();
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
}
