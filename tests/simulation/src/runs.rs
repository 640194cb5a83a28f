// SPDX-License-Identifier: GPL-2.0

//! Worlds of all kinds, until there were so many operations.

use crate::config::{
    Config,
    Tally, //
};
use crate::coverage::Coverage;
use crate::world::World;

/// What happened in a number of worlds.
#[derive(Default)]
pub struct Sum {
    /// What was counted.
    pub tally: Tally,
    /// The transitions of the machines.
    pub coverage: Coverage,
}

impl Sum {
    /// Runs a world and adds it.
    pub fn add(&mut self, name: &str, config: Config, seed: u64) -> Result<(), String> {
        let mut world = World::new(config, seed);
        let tally = world.run();
        self.tally
            .add(&tally.map_err(|wrong| format!("{name}, seed {seed}: {wrong}"))?);
        for (transition, count) in world.coverage {
            *self.coverage.entry(transition).or_default() += count;
        }
        Ok(())
    }
}

/// Runs worlds of all kinds, the first with this seed, until there were so many operations.
pub fn all(operations: u64, first: u64) -> Result<Sum, String> {
    let mut sum = Sum::default();
    for seed in first.. {
        for (name, config) in Config::ALL {
            sum.add(name, config, seed)?;
        }
        if sum.tally.operations >= operations {
            break;
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage::gaps;

    /// The least number of operations. A run of this length takes some twenty seconds.
    const OPERATIONS: u64 = 1_000_000;

    /// No lie, no request that does not end, and each transition of each machine at least once.
    #[test]
    fn clients_and_misfortunes_of_all_kinds() {
        let sum = all(OPERATIONS, 0).unwrap_or_else(|wrong| panic!("{wrong}"));
        let (missing, unknown) = gaps(&sum.coverage);
        assert!(
            missing.is_empty() && unknown.is_empty(),
            "{missing:?} {unknown:?}"
        );
        assert!(
            sum.tally.relocated > 10_000
                && sum.tally.power_cuts > 1000
                && sum.tally.shortages > 100,
            "{:?}",
            sum.tally
        );
    }
}
