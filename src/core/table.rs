// SPDX-License-Identifier: GPL-2.0

//! The arguments of a table line.

use crate::breaker::{
    Budget,
    Limit, //
};
use crate::geometry::Area;
use crate::number;
use core::{
    ffi::CStr,
    fmt, //
};

/// A table line's arguments, read but not yet held against any device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableLine<'a> {
    /// The main device, by path or `major:minor`.
    pub main: &'a str,
    /// Where on it the target begins, in sectors.
    pub main_start: u64,
    /// The spare device, by path or `major:minor`.
    pub spare: &'a str,
    /// The first sector of the spare area.
    pub spare_start: u64,
    /// The spare area's length in sectors.
    pub spare_len: u64,
    /// The optional features.
    pub features: Features,
}

/// What a table line may ask for; as text, the end of such a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// The length of a unit in bytes, where the line names it.
    pub unit: Option<u64>,
    /// How many units may fail at a time, where the line says so.
    pub breaker: Option<Limit>,
    /// How many units may fail in a day, where the line says so; 0 for no limit.
    pub breaker_day: Option<u64>,
    /// What a write to a suspect does, where the line says so.
    pub policy: Option<Policy>,
    /// For how many seconds writes wait for a spare unit when none is left, where the line says
    /// that they do.
    pub patience: Option<u64>,
    /// After how many seconds a scan begins anew, where the line says that there are any.
    pub scan_interval: Option<u64>,
    /// How many KiB a second a scan may read, where the line says so.
    pub scan_rate: Option<u64>,
    /// Whether a scan moves weak units, where the line says so.
    pub proactive: Option<bool>,
}

/// The most seconds between two scans: a year.
const MOST_INTERVAL: u64 = 31_536_000;
/// The most KiB a second that a scan may read.
pub const MOST_RATE: u64 = 1 << 30;

/// The most seconds that a write may wait for a spare unit: a day.
const MOST_PATIENCE: u64 = 86_400;

/// What a write does to a unit that failed to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// It is tried on main first, where the disk may have a sector of its own to put in its place.
    #[default]
    Main,
    /// The unit is moved to the spare at once.
    Spare,
}

impl Policy {
    const ALL: [Self; 2] = [Self::Main, Self::Spare];

    /// Its name in a table line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Spare => "spare",
        }
    }

    /// The one that has this name.
    pub fn parse(word: &str) -> Result<Self, TableError> {
        let mut all = Self::ALL.into_iter();
        all.find(|policy| policy.name() == word)
            .ok_or(TableError::Policy)
    }
}

impl fmt::Display for Features {
    /// ` <count> <word>...`, or nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.unit.map_or(0, |_| 2)
            + self.breaker.map_or(0, |_| 3)
            + self.breaker_day.map_or(0, |_| 2)
            + self.policy.map_or(0, |_| 2)
            + self.patience.map_or(0, |_| 2)
            + self.scan_interval.map_or(0, |_| 2)
            + self.scan_rate.map_or(0, |_| 2)
            + self.proactive.map_or(0, |_| 2);
        if words > 0 {
            write!(f, " {words}")?;
        }
        if let Some(bytes) = self.unit {
            write!(f, " unit {bytes}")?;
        }
        if let Some(Limit { units, seconds }) = self.breaker {
            write!(f, " breaker {units} {seconds}")?;
        }
        if let Some(units) = self.breaker_day {
            write!(f, " breaker_day {units}")?;
        }
        if let Some(policy) = self.policy {
            write!(f, " policy {}", policy.name())?;
        }
        if let Some(seconds) = self.patience {
            write!(f, " queue_if_no_spare {seconds}")?;
        }
        if let Some(seconds) = self.scan_interval {
            write!(f, " scan_interval {seconds}")?;
        }
        if let Some(rate) = self.scan_rate {
            write!(f, " scan_rate {rate}")?;
        }
        if let Some(on) = self.proactive {
            write!(f, " proactive {}", on_or_off(on))?;
        }
        Ok(())
    }
}

/// Why a table line is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TableError {
    TooFew,
    TooMany,
    MainStart,
    SpareStart,
    SpareLen,
    FeatureCount,
    MissingFeature,
    UnknownFeature,
    Unit,
    Breaker,
    BreakerDay,
    Policy,
    Patience,
    ScanInterval,
    ScanRate,
    Proactive,
    Repeated,
}

impl TableError {
    /// The reason as the table's error string gives it.
    pub const fn reason(self) -> &'static CStr {
        match self {
            Self::TooFew => {
                c"too few arguments: want <main> <start> <spare> <start> <len> [<#features> ...]"
            }
            Self::TooMany => c"arguments follow the last feature",
            Self::MainStart => c"main start is not a number of sectors",
            Self::SpareStart => c"spare start is not a number of sectors",
            Self::SpareLen => c"spare length is not a number of sectors",
            Self::FeatureCount => c"feature count is not a number",
            Self::MissingFeature => c"fewer features than the feature count says",
            Self::UnknownFeature => c"unknown feature",
            Self::Unit => c"unit is not a number of bytes",
            Self::Breaker => c"breaker is not a number of units and one of seconds",
            Self::BreakerDay => c"breaker_day is not a number of units up to 4294967296",
            Self::Policy => c"policy is neither main nor spare",
            Self::Patience => c"queue_if_no_spare is not a number of seconds from 1 to 86400",
            Self::ScanInterval => c"scan_interval is not a number of seconds from 1 to 31536000",
            Self::ScanRate => c"scan_rate is not a number of KiB a second from 1 to 1073741824",
            Self::Proactive => c"proactive is neither on nor off",
            Self::Repeated => c"feature given twice",
        }
    }
}

impl<'a> TableLine<'a> {
    /// Reads `<main> <start> <spare> <start> <len> [<#features> <feature>...]`.
    pub fn parse(mut words: impl Iterator<Item = &'a str>) -> Result<Self, TableError> {
        let mut next = || words.next().ok_or(TableError::TooFew);
        let (main, main_start) = (next()?, next()?);
        let (spare, spare_start, spare_len) = (next()?, next()?, next()?);
        let sectors = |word, error| number::parse(word).map_err(|_| error);
        Ok(Self {
            main,
            main_start: sectors(main_start, TableError::MainStart)?,
            spare,
            spare_start: sectors(spare_start, TableError::SpareStart)?,
            spare_len: sectors(spare_len, TableError::SpareLen)?,
            features: Features::parse(words)?,
        })
    }

    /// The spare area.
    pub fn spare_area(&self) -> Area {
        Area {
            start: self.spare_start,
            len: self.spare_len,
        }
    }
}

impl Features {
    /// Reads the optional feature group: how many words, and then those.
    fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Self, TableError> {
        let mut this = Self::default();
        let Some(count) = words.next() else {
            return Ok(this);
        };
        let mut left = number::parse(count).map_err(|_| TableError::FeatureCount)?;
        while left > 0 {
            let mut next = || {
                left = left.checked_sub(1).ok_or(TableError::MissingFeature)?;
                words.next().ok_or(TableError::MissingFeature)
            };
            match next()? {
                "unit" if this.unit.is_some() => return Err(TableError::Repeated),
                "unit" => this.unit = Some(number::parse(next()?).map_err(|_| TableError::Unit)?),
                "breaker" if this.breaker.is_some() => return Err(TableError::Repeated),
                "breaker" => this.breaker = Some(limit(next()?, next()?)?),
                "breaker_day" if this.breaker_day.is_some() => return Err(TableError::Repeated),
                "breaker_day" => {
                    let units = number::parse(next()?).map_err(|_| TableError::BreakerDay)?;
                    let units = Some(units).filter(|units| *units <= Budget::MOST);
                    this.breaker_day = Some(units.ok_or(TableError::BreakerDay)?);
                }
                "policy" if this.policy.is_some() => return Err(TableError::Repeated),
                "policy" => this.policy = Some(Policy::parse(next()?)?),
                "queue_if_no_spare" if this.patience.is_some() => return Err(TableError::Repeated),
                "queue_if_no_spare" => {
                    let seconds = within(next()?, MOST_PATIENCE);
                    this.patience = Some(seconds.ok_or(TableError::Patience)?);
                }
                "scan_interval" if this.scan_interval.is_some() => {
                    return Err(TableError::Repeated)
                }
                "scan_interval" => {
                    let seconds = within(next()?, MOST_INTERVAL);
                    this.scan_interval = Some(seconds.ok_or(TableError::ScanInterval)?);
                }
                "scan_rate" if this.scan_rate.is_some() => return Err(TableError::Repeated),
                "scan_rate" => {
                    this.scan_rate = Some(within(next()?, MOST_RATE).ok_or(TableError::ScanRate)?);
                }
                "proactive" if this.proactive.is_some() => return Err(TableError::Repeated),
                "proactive" => this.proactive = Some(is_on(next()?)?),
                _ => return Err(TableError::UnknownFeature),
            }
        }
        match words.next() {
            None => Ok(this),
            Some(_) => Err(TableError::TooMany),
        }
    }
}

/// A number from 1 to `most`.
fn within(word: &str, most: u64) -> Option<u64> {
    let number = number::parse(word).ok()?;
    (1..=most).contains(&number).then_some(number)
}

const ON: &str = "on";
const OFF: &str = "off";

/// What stands for a choice that was made in a table line.
pub const fn on_or_off(is_on: bool) -> &'static str {
    match is_on {
        true => ON,
        false => OFF,
    }
}

fn is_on(word: &str) -> Result<bool, TableError> {
    match word {
        ON => Ok(true),
        OFF => Ok(false),
        _ => Err(TableError::Proactive),
    }
}

fn limit(units: &str, seconds: &str) -> Result<Limit, TableError> {
    let number = |word| number::parse(word).map_err(|_| TableError::Breaker);
    Limit::new(number(units)?, number(seconds)?).ok_or(TableError::Breaker)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Result<TableLine<'_>, TableError> {
        TableLine::parse(line.split_whitespace())
    }

    #[test]
    fn a_good_line() {
        let line = TableLine {
            main: "/dev/a",
            main_start: 8,
            spare: "8:16",
            spare_start: 0,
            spare_len: 800,
            features: Features::default(),
        };
        assert_eq!(parse("/dev/a 8 8:16 0 800"), Ok(line));
        assert_eq!(parse("/dev/a 8 8:16 0 800 0"), Ok(line));
        let unit = Some(65536);
        let with = |features| Ok(TableLine { features, ..line });
        let features = Features {
            unit,
            ..Features::default()
        };
        assert_eq!(parse("/dev/a 8 8:16 0 800 2 unit 65536"), with(features));
        for (words, units, seconds) in [("100 5", 100, 5), ("0 0", 0, 0)] {
            let breaker = Limit::new(units, seconds);
            let text = format!("/dev/a 8 8:16 0 800 5 breaker {words} unit 65536");
            assert_eq!(
                parse(&text),
                with(Features {
                    unit,
                    breaker,
                    ..Features::default()
                })
            );
        }
        let features = Features {
            policy: Some(Policy::Spare),
            ..Features::default()
        };
        assert_eq!(parse("/dev/a 8 8:16 0 800 2 policy spare"), with(features));
    }

    #[test]
    fn named_refusals() {
        for (line, want) in [
            ("", TableError::TooFew),
            ("a 0 b 0", TableError::TooFew),
            ("a x b 0 8", TableError::MainStart),
            ("a -1 b 0 8", TableError::MainStart),
            ("a 0 b 18446744073709551616 8", TableError::SpareStart),
            ("a 0 b 0 8k", TableError::SpareLen),
            ("a 0 b 0 8 x", TableError::FeatureCount),
            ("a 0 b 0 8 1", TableError::MissingFeature),
            ("a 0 b 0 8 1 fast", TableError::UnknownFeature),
            ("a 0 b 0 8 0 fast", TableError::TooMany),
            ("a 0 b 0 8 2 unit 4k", TableError::Unit),
            ("a 0 b 0 8 1 unit", TableError::MissingFeature),
            ("a 0 b 0 8 1 unit 4096", TableError::MissingFeature),
            ("a 0 b 0 8 3 unit 4096", TableError::MissingFeature),
            ("a 0 b 0 8 2 unit 4096 more", TableError::TooMany),
            ("a 0 b 0 8 4 unit 4096 unit 8192", TableError::Repeated),
            ("a 0 b 0 8 6 breaker 1 1 breaker 1 1", TableError::Repeated),
            ("a 0 b 0 8 3 breaker 0 1", TableError::Breaker),
            ("a 0 b 0 8 3 breaker 1 x", TableError::Breaker),
            ("a 0 b 0 8 2 breaker 1", TableError::MissingFeature),
            ("a 0 b 0 8 2 breaker_day x", TableError::BreakerDay),
            ("a 0 b 0 8 2 breaker_day 4294967297", TableError::BreakerDay),
            (
                "a 0 b 0 8 4 breaker_day 1 breaker_day 0",
                TableError::Repeated,
            ),
            ("a 0 b 0 8 2 queue_if_no_spare 0", TableError::Patience),
            ("a 0 b 0 8 2 queue_if_no_spare 86401", TableError::Patience),
            ("a 0 b 0 8 1 queue_if_no_spare", TableError::MissingFeature),
            ("a 0 b 0 8 2 scan_interval 0", TableError::ScanInterval),
            (
                "a 0 b 0 8 2 scan_interval 31536001",
                TableError::ScanInterval,
            ),
            ("a 0 b 0 8 2 scan_rate x", TableError::ScanRate),
            ("a 0 b 0 8 2 scan_rate 0", TableError::ScanRate),
            ("a 0 b 0 8 2 scan_rate 1073741825", TableError::ScanRate),
            ("a 0 b 0 8 2 proactive maybe", TableError::Proactive),
            (
                "a 0 b 0 8 4 proactive on proactive on",
                TableError::Repeated,
            ),
            ("a 0 b 0 8 1 policy", TableError::MissingFeature),
            ("a 0 b 0 8 2 policy both", TableError::Policy),
            ("a 0 b 0 8 4 policy main policy spare", TableError::Repeated),
        ] {
            assert_eq!(parse(line), Err(want), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn features_are_read_as_they_are_written(
            unit in prop::option::of(any::<u64>()),
            breaker in prop::option::of((1u64..1 << 32, 1u64..86_400)),
            breaker_day in prop::option::of(0..=Budget::MOST),
            policy in prop::option::of(prop::sample::select(&Policy::ALL[..])),
            patience in prop::option::of(1u64..86_400),
            scan_interval in prop::option::of(1..=MOST_INTERVAL),
            scan_rate in prop::option::of(1..=MOST_RATE),
            proactive in prop::option::of(any::<bool>()),
        ) {
            let breaker = breaker.and_then(|(units, seconds)| Limit::new(units, seconds));
            let features = Features {
                unit, breaker, breaker_day, policy, patience, scan_interval, scan_rate, proactive,
            };
            let text = format!("a 0 b 0 8{features}");
            prop_assert_eq!(parse(&text).map(|line| line.features), Ok(features));
        }

        #[test]
        fn never_panics(words in prop::collection::vec(".*", 0..9)) {
            let _ = TableLine::parse(words.iter().map(String::as_str));
        }
    }
}
