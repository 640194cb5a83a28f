// SPDX-License-Identifier: GPL-2.0

//! Sequences of acts.

use super::*;

/// One thing of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Act {
    WriteThatFails,
    ReadThatFails,
    Write,
    Relocate,
    Unrelocate,
    Commit,
    Checkpoint,
    LoseRegion,
    RegionReturns,
    Suspend,
    PowerCut,
}

impl Act {
    /// All there are.
    pub const ALL: [Self; 11] = [
        Self::WriteThatFails,
        Self::ReadThatFails,
        Self::Write,
        Self::Relocate,
        Self::Unrelocate,
        Self::Commit,
        Self::Checkpoint,
        Self::LoseRegion,
        Self::RegionReturns,
        Self::Suspend,
        Self::PowerCut,
    ];
}

/// How one I/O of the engine fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It has no effect.
    Medium,
    /// The same, because of the path.
    Path,
    /// It has its effect, and nobody is told.
    Lost,
    /// The power goes before it.
    PowerCut,
}

impl World {
    /// Does one thing of a sequence.
    pub fn act(&mut self, act: Act) -> Result<(), String> {
        let unit = Unit(1);
        let sectors = self.geometry.sectors_of(unit);
        let middle = sectors.start + 2;
        match act {
            Act::WriteThatFails => {
                self.main.set_fault(middle, Some(Fault::Dead));
                self.oracle.may_fail(&(middle..middle + 1));
                self.client(Kind::Write, middle..middle + 3);
            }
            Act::ReadThatFails => {
                self.main.set_fault(middle, Some(Fault::Unreadable));
                self.oracle.may_fail(&(middle..middle + 1));
                self.client(Kind::Read, sectors);
            }
            Act::Write => self.client(Kind::Write, sectors.start..sectors.end + 2),
            Act::Relocate => {
                let cause = Cause::Message { is_lossy: true };
                self.spawn(Machine::Relocation(Relocation::new(unit, cause, 0)), 0);
            }
            Act::Unrelocate => self.spawn(Machine::Unrelocation(Unrelocation::new(unit)), 0),
            Act::Commit => drop(self.engine.want_commit(None)),
            Act::Checkpoint => drop(self.engine.want_checkpoint(Which::All)),
            Act::LoseRegion => {
                for number in 0..256 {
                    if let Some(at) = sector_of(&self.geometry, Region(0), number) {
                        self.spare.set_fault(at, Some(Fault::Unwritable));
                    }
                }
            }
            Act::RegionReturns => {
                let faulty: Vec<u64> = self.spare.faulty().collect();
                for at in faulty {
                    self.spare.set_fault(at, None);
                }
                self.engine.want_checkpoint(Which::Dropped);
            }
            Act::Suspend => self.suspend()?,
            Act::PowerCut => self.cut_power()?,
        }
        Ok(())
    }

    /// Runs a sequence, of which one I/O of the engine may fail; how many there were.
    ///
    /// After each act some events happen; all if `is_drained`. In the end all that is on the device
    /// is read, and again after a power cut.
    pub fn sequence(
        &mut self,
        acts: &[Act],
        is_drained: bool,
        failing: Option<(u64, Failure)>,
    ) -> Result<u64, String> {
        self.failing_io = failing;
        for &act in acts {
            self.act(act)?;
            match is_drained {
                true => self.drain()?,
                false => {
                    self.advance()?;
                }
            }
        }
        self.drain()?;
        let ios = self.engine_ios;
        self.failing_io = None;
        self.read_all()?;
        self.check_accounts()?;
        self.cut_power()?;
        self.read_all()?;
        Ok(ios)
    }

    pub(super) fn read_all(&mut self) -> Result<(), String> {
        for unit in 0..self.geometry.units() {
            let sectors = self.geometry.sectors_of(Unit(unit));
            for sector in sectors {
                self.client(Kind::Read, sector..sector + 1);
            }
        }
        self.drain()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use remap_core::geometry::SpareUnit;

    const FAILING: u64 = 12;
    const SEEDS: u64 = 100;

    /// A world whose breaker lets two units fail.
    fn limited(seed: u64) -> World {
        let config = Config {
            units: 16,
            spare_units: 40,
            ..Config::QUIET
        };
        let mut world = World::new(config, seed);
        let limit = Limit::new(2, 86_400).expect("a limit");
        world.engine.configure(limit, Budget::Usual, Policy::Main);
        world
    }

    /// Writes to several units at once, which main does not take; until all has ended.
    fn write_to_bad_units(world: &mut World) {
        for unit in (0..FAILING).map(Unit) {
            let sectors = world.geometry.sectors_of(unit);
            world.main.set_fault(sectors.start, Some(Fault::Dead));
            world.oracle.may_fail(&sectors);
            world.client(Kind::Write, sectors);
        }
        world.drain().expect("no lie");
        world.check_accounts().expect("sound accounts");
        assert!(world.operations.is_empty());
    }

    /// No more units are moved at once than would be one after the other.
    #[test]
    fn units_that_fail_at_once_are_counted() {
        for seed in 0..SEEDS {
            let mut world = limited(seed);
            write_to_bad_units(&mut world);
            assert_eq!(
                (world.tally.relocated, world.tally.tripped),
                (2, 1),
                "seed {seed}"
            );
        }
    }

    /// The spare takes none of them: it has lost nothing, so that the breaker stays closed.
    #[test]
    fn units_that_cannot_be_moved_do_not_open_the_breaker() {
        let mut world = limited(1);
        for spare in 0..world.config.spare_units {
            let at = world.geometry.on_spare(SpareUnit(spare), 0);
            for sector in at..at + world.geometry.unit_sectors() {
                world.spare.set_fault(sector, Some(Fault::Unwritable));
            }
        }
        write_to_bad_units(&mut world);
        assert_eq!((world.tally.relocated, world.tally.tripped), (0, 0));
    }
}
