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
            Act::Checkpoint => self.ask_checkpoint(Which::All)?,
            Act::LoseRegion => {
                for number in 0..256 {
                    if let Some((_, at)) = self.places().of(Region(0), number) {
                        self.spare.set_fault(at, Some(Fault::Unwritable));
                    }
                }
            }
            Act::RegionReturns => {
                let faulty: Vec<u64> = self.spare.faulty().collect();
                for at in faulty {
                    self.spare.set_fault(at, None);
                }
                self.ask_checkpoint(Which::Dropped)?;
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
    use remap_core::region_layout::Slot;

    const FAILING: u64 = 12;
    const SEEDS: u64 = 100;
    /// More than a commit takes.
    const STEPS: u32 = 1000;

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

    /// A region that failed comes back after some commits, without anybody's doing.
    #[test]
    fn a_region_that_failed_is_tried_again() {
        let mut world = World::new(Config::QUIET, 1);
        let run = |world: &mut World, act| {
            world.act(act).expect("no lie");
            world.drain().expect("no lie");
        };
        run(&mut world, Act::LoseRegion);
        run(&mut world, Act::Commit);
        let faulty: Vec<u64> = world.spare.faulty().collect();
        for at in faulty {
            world.spare.set_fault(at, None);
        }
        assert!(world.engine.lacks_region());
        (0..20).for_each(|_| run(&mut world, Act::Commit));
        assert!(!world.engine.lacks_region());
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

    /// Writes a unit of main, which has copies of the metadata; until all has ended.
    fn write_with_copies(spoil: impl FnOnce(&mut Disk, u64)) -> Tally {
        let config = Config {
            on_main: true,
            ..Config::QUIET
        };
        let mut world = World::new(config, 1);
        let sectors = world.geometry.sectors_of(Unit(1));
        spoil(&mut world.main, sectors.start);
        world.note_outage();
        world.client(Kind::Write, sectors);
        world.drain().expect("no lie");
        world.tally
    }

    /// A main that takes no write at all has no bad units, which a commit to its copies shows.
    #[test]
    fn a_main_that_takes_no_write_opens_the_breaker() {
        let tally = write_with_copies(|main, _| main.mode = Mode::ReadOnly);
        assert_eq!((tally.relocated, tally.tripped), (0, 1));
        let tally = write_with_copies(|main, at| main.set_fault(at, Some(Fault::Unwritable)));
        assert_eq!((tally.relocated, tally.tripped), (1, 0));
    }

    /// Has a region of the spare take no heads.
    fn spoil_heads(world: &mut World, region: Region) {
        for number in Slot::BOTH.map(|slot| world.geometry.regions().header(slot)) {
            let place = world.places().of(region, number);
            let (_, at) = place.expect("a region that there is");
            world.spare.set_fault(at, Some(Fault::Unwritable));
        }
    }

    /// A region is bad if it takes no checkpoint that is due, and administrators are told.
    #[test]
    fn a_region_that_takes_no_due_checkpoint_is_told() {
        let mut world = World::new(Config::QUIET, 1);
        spoil_heads(&mut world, Region(1));
        let before = world.engine.regions();
        for _ in 0..2 * world.geometry.regions().log_blocks() {
            world.act(Act::Commit).expect("no lie");
            world.drain().expect("no lie");
        }
        assert_eq!((before, world.engine.regions()), ((2, 2), (1, 2)));
    }

    /// Where a checkpoint is due that no region takes, nobody waits for it for ever.
    #[test]
    fn a_due_checkpoint_that_no_region_takes_ends_all_commits() {
        let mut world = World::new(Config::QUIET, 1);
        let regions = world.geometry.regions();
        Region::of_spare().for_each(|region| spoil_heads(&mut world, region));
        for _ in 0..2 * regions.log_blocks() {
            world.act(Act::Commit).expect("no lie");
            for _ in 0..STEPS {
                if !world.advance().expect("no lie") {
                    break;
                }
            }
        }
        assert!(world.engine.is_dead());
    }
}
