// SPDX-License-Identifier: GPL-2.0

//! What units hold, and what they may hold.

use anyhow::{
    bail,
    Result, //
};
use model::content::{
    identify,
    Content, //
};
use std::collections::BTreeMap;

/// The bytes of a unit.
pub const UNIT_BYTES: usize = 4096;

/// What is known of one unit.
#[derive(Clone, Copy, Default)]
struct Versions {
    acked: u64,
    begun: u64,
}

/// What is known of all units.
#[derive(Default)]
pub struct Known(BTreeMap<u64, Versions>);

impl Known {
    /// Takes into account that a write began (`begin`, UNIT, VERSION) or was acknowledged (`ack`, ...).
    pub fn note(&mut self, words: [&str; 3]) -> Result<()> {
        let [what, unit, version] = words;
        let (unit, version) = (unit.parse()?, version.parse()?);
        let versions = self.0.entry(unit).or_default();
        match what {
            "begin" => versions.begun = version,
            "ack" => versions.acked = version,
            _ => bail!("neither 'begin' nor 'ack': '{what}'"),
        }
        Ok(())
    }

    /// The units of which something is known.
    pub fn units(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.keys().copied()
    }

    /// Whether a unit has a version that was acknowledged: then it must be readable.
    pub fn is_acked(&self, unit: u64) -> bool {
        self.0.get(&unit).is_some_and(|unit| unit.acked > 0)
    }

    /// How many of them have a version that was acknowledged.
    pub fn acked(&self) -> usize {
        self.0.values().filter(|unit| unit.acked > 0).count()
    }

    /// Checks that a unit holds the last version that was acknowledged, or one that began later.
    pub fn check(&self, unit: u64, bytes: &[u8]) -> Result<()> {
        let Versions { acked, begun } = self.0.get(&unit).copied().unwrap_or_default();
        let Content::Whole(found) = identify(bytes, unit) else {
            bail!("unit {unit} holds what was never written to it, or is torn");
        };
        if found < acked || found > begun {
            bail!("unit {unit} holds version {found}, {acked} was acknowledged, {begun} begun");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::content::fill;

    #[test]
    fn a_unit_may_hold_what_was_acknowledged_or_begun() {
        let mut known = Known::default();
        for words in [["begin", "7", "1"], ["ack", "7", "1"], ["begin", "7", "2"]] {
            known.note(words).unwrap();
        }
        let mut bytes = [0; UNIT_BYTES];
        assert!(known.check(7, &bytes).is_err());
        assert!(known.check(8, &bytes).is_ok());
        for (version, may) in [(1, true), (2, true), (3, false)] {
            fill(&mut bytes, 7, version);
            assert_eq!(known.check(7, &bytes).is_ok(), may);
        }
        fill(&mut bytes, 7, 1);
        fill(&mut bytes[512..1024], 7, 2);
        assert!(known.check(7, &bytes).is_err());
        fill(&mut bytes, 8, 1);
        assert!(known.check(7, &bytes).is_err());
        assert_eq!(known.acked(), 1);
    }
}
