// SPDX-License-Identifier: GPL-2.0

//! What units hold, and what they may hold. Versions of a unit grow, and 0 is what it holds at first.

use crate::units::Units;
use anyhow::{
    bail,
    ensure,
    Context,
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
///
/// It follows from a story of lines: `begin UNIT VERSION`, `ack UNIT VERSION`, and
/// `found UNIT=VERSION ...` where units were read since.
#[derive(Default)]
pub struct Known(BTreeMap<u64, Versions>);

impl Known {
    /// Takes all lines of a story into account.
    pub fn of(story: &str) -> Result<Self> {
        let mut known = Self::default();
        for line in story.lines() {
            known.note(line).with_context(|| line.to_string())?;
        }
        Ok(known)
    }

    /// Takes a line into account.
    pub fn note(&mut self, line: &str) -> Result<()> {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["begin", unit, version] => self.unit(unit)?.begun = version.parse()?,
            ["ack", unit, version] => self.unit(unit)?.acked = version.parse()?,
            ["found", ref units @ ..] => {
                for found in units {
                    let (unit, version) = found.split_once('=').context("UNIT=VERSION")?;
                    let version = version.parse()?;
                    *self.unit(unit)? = Versions {
                        acked: version,
                        begun: version,
                    };
                }
            }
            _ => bail!("this says nothing of units"),
        }
        Ok(())
    }

    fn unit(&mut self, number: &str) -> Result<&mut Versions> {
        Ok(self.0.entry(number.parse()?).or_default())
    }

    /// The units of which something is known.
    pub fn units(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.keys().copied()
    }

    /// The last version of any unit.
    pub fn last(&self) -> u64 {
        let begun = self.0.values().map(|unit| unit.begun);
        begun.max().unwrap_or_default()
    }

    /// How many of them have a version that was acknowledged.
    pub fn acked(&self) -> usize {
        self.0.values().filter(|unit| unit.acked > 0).count()
    }

    /// Checks that a unit holds the last version that was acknowledged, or one that began later, and
    /// returns which.
    pub fn check(&self, unit: u64, bytes: &[u8]) -> Result<u64> {
        let Versions { acked, begun } = self.0.get(&unit).copied().unwrap_or_default();
        let Content::Whole(found) = identify(bytes, unit) else {
            bail!("unit {unit} holds what was never written to it, or is torn");
        };
        if found < acked || found > begun {
            bail!("unit {unit} holds version {found}, {acked} was acknowledged, {begun} begun");
        }
        Ok(found)
    }

    /// Checks all units of a device, and returns a line of the story with what was found. What was never
    /// acknowledged may be unreadable.
    pub fn check_all(&self, device: &mut Units) -> Result<String> {
        let mut found = "found".to_string();
        for (&unit, versions) in &self.0 {
            match device.read(unit) {
                Ok(bytes) => found += &format!(" {unit}={}", self.check(unit, bytes)?),
                Err(error) => {
                    ensure!(versions.acked == 0, "unit {unit} was acknowledged: {error}");
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::content::fill;

    fn versions_that_unit_7_may_have(story: &str) -> Vec<u64> {
        let known = Known::of(story).unwrap();
        let mut bytes = [0; UNIT_BYTES];
        let may_have = |version: &u64| {
            fill(&mut bytes, 7, *version);
            known.check(7, &bytes).is_ok()
        };
        (0..5).filter(may_have).collect()
    }

    #[test]
    fn a_unit_may_hold_what_was_acknowledged_or_begun() {
        let story = "begin 7 1\nack 7 1\nbegin 7 2\n";
        assert_eq!(versions_that_unit_7_may_have(""), [0]);
        assert_eq!(versions_that_unit_7_may_have(story), [1, 2]);
        let known = Known::of(story).unwrap();
        assert_eq!((known.acked(), known.last()), (1, 2));
        let mut bytes = [0; UNIT_BYTES];
        assert!(known.check(7, &bytes).is_err());
        assert!(known.check(8, &bytes).is_ok());
        fill(&mut bytes, 7, 1);
        fill(&mut bytes[512..1024], 7, 2);
        assert!(known.check(7, &bytes).is_err());
        fill(&mut bytes, 8, 1);
        assert!(known.check(7, &bytes).is_err());
    }

    #[test]
    fn what_was_found_stays() {
        let story = "begin 7 1\nack 7 1\nbegin 7 2\nfound 6=0 7=2\n";
        assert_eq!(versions_that_unit_7_may_have(story), [2]);
        let later = format!("{story}begin 7 3\n");
        assert_eq!(versions_that_unit_7_may_have(&later), [2, 3]);
    }

    #[test]
    fn a_story_says_nothing_else() {
        for line in ["begin 7", "end 7 1", "found 7", "ack 7 x"] {
            assert!(Known::of(line).is_err(), "{line}");
        }
    }
}
