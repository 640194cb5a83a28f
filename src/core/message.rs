// SPDX-License-Identifier: GPL-2.0

//! The messages of `dmsetup message`.

use crate::breaker::Limit;
use crate::number;
use crate::table::MOST_RATE;
use core::fmt;

/// A message, read but not yet held against the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Is the target there?
    Ping,
    /// What it is and how it is laid out.
    Info,
    /// The counters.
    Stats,
    /// Counts from zero again.
    StatsReset,
    /// The sizes of inner structures.
    Debug,
    /// Moves `sectors` sectors from `sector` on to the spare.
    Remap {
        /// The first sector.
        sector: u64,
        /// How many.
        sectors: u64,
        /// Blocks that cannot be read are given up.
        is_lossy: bool,
    },
    /// Moves the unit of a sector back to main.
    Unremap {
        /// The sector.
        sector: u64,
    },
    /// Lists the relocated units from a sector on.
    List {
        /// The sector.
        from: u64,
    },
    /// Lists the suspects from a sector on.
    Suspects {
        /// The sector.
        from: u64,
    },
    /// Reads a suspect again and clears it if it reads well.
    Retest {
        /// A sector of it.
        sector: u64,
    },
    /// Closes the breaker.
    Rearm,
    /// What its limit is, and what is left of it.
    Breaker,
    /// Sets its limit.
    SetBreaker(Limit),
    /// Writes the whole state to every region of the metadata.
    Checkpoint,
    /// How far the scan is, and what it found.
    Scan,
    /// Begins to scan, or goes on.
    ScanStart,
    /// Has the scan wait.
    ScanPause,
    /// Ends the scan.
    ScanStop,
    /// How many KiB a second the scan may read.
    ScanRate(u64),
    /// How the spare units that are put aside for each CPU serve.
    Cache,
    /// How each NUMA node is served.
    Numa,
    /// Why the last message that failed did.
    Reason,
    /// The messages there are.
    Help,
}

/// What [`Message::Help`] answers.
pub const HELP: &str = "\
ping: answers pong
info: what the target is and how it is laid out
stats [reset]: the counters; count from zero again
debug: sizes of inner structures
remap <sector> [<sectors>] [lossy]: move the units of these sectors to the spare, those too of which blocks cannot be \
read
unremap <sector>: move the unit of this sector back to main
list [<from>]: relocated units, from a sector on
suspects [<from>]: units that failed to read, from a sector on
retest <sector>: read a suspect again and clear it if it reads well
breaker [<units> <seconds>]: how many units may fail at a time and in a day, and how many are left; change the first \
until another table is loaded
rearm: relocate units again, after the disk that failed was seen to
checkpoint: write the whole state to every region of the metadata
scan [status|start|pause|stop|rate <number>]: how far the scan for failing sectors is; begin it, or go on; have it \
wait; end it; set how many KiB a second it may read
cache: how the spare units that are put aside for each CPU serve
numa: how each NUMA node is served
reason: why the last refused message was refused
help: this text
";

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageError<'a> {
    /// There is no such message.
    Unknown(&'a str),
    /// An argument is missing; the usage.
    Missing(&'static str),
    /// There are too many arguments; the usage.
    TooMany(&'static str),
    /// A word that should be a number is not; the usage.
    NotNumber(&'a str, &'static str),
    /// A count of zero; the usage.
    Zero(&'static str),
    /// A rate that is none, or more than there may be; the usage.
    NoRate(&'static str),
    /// A word that says none of what can be done; the usage.
    Order(&'static str),
    /// Two numbers that are no limit; the usage.
    Limit(&'static str),
}

impl fmt::Display for MessageError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(word) => write!(f, "unknown message '{word}', see 'help'"),
            Self::Missing(usage) => write!(f, "argument missing: want '{usage}'"),
            Self::TooMany(usage) => write!(f, "too many arguments: want '{usage}'"),
            Self::NotNumber(word, usage) => {
                write!(f, "'{word}' is not a number: want '{usage}'")
            }
            Self::Limit(usage) => write!(f, "no limit of the breaker: want '{usage}'"),
            Self::NoRate(usage) => write!(f, "no rate from 1 to {MOST_RATE}: want '{usage}'"),
            Self::Order(usage) => write!(f, "no such order: want '{usage}'"),
            Self::Zero(usage) => write!(f, "nothing to do for zero sectors: want '{usage}'"),
        }
    }
}

/// The words of a message and how it is used.
struct Words<'a, I> {
    words: I,
    usage: &'static str,
    _word: core::marker::PhantomData<&'a str>,
}

impl<'a, I: Iterator<Item = &'a str>> Words<'a, I> {
    fn optional(&mut self) -> Result<Option<u64>, MessageError<'a>> {
        let Some(word) = self.words.next() else {
            return Ok(None);
        };
        number::parse(word)
            .map(Some)
            .map_err(|_| MessageError::NotNumber(word, self.usage))
    }

    fn required(&mut self) -> Result<u64, MessageError<'a>> {
        self.optional()?.ok_or(MessageError::Missing(self.usage))
    }

    /// A number, which is 1 if it is not there, and whether `word` follows it.
    fn sectors_and_word(&mut self, word: &str) -> Result<(u64, bool), MessageError<'a>> {
        let usage = self.usage;
        let number = |text| number::parse(text).map_err(|_| MessageError::NotNumber(text, usage));
        match self.words.next() {
            None => Ok((1, false)),
            Some(first) if first == word => Ok((1, true)),
            Some(first) => {
                let sectors = number(first)?;
                match self.words.next() {
                    None => Ok((sectors, false)),
                    Some(second) if second == word => Ok((sectors, true)),
                    Some(_) => Err(MessageError::TooMany(usage)),
                }
            }
        }
    }

    fn end(mut self, message: Message) -> Result<Message, MessageError<'a>> {
        match self.words.next() {
            None => Ok(message),
            Some(_) => Err(MessageError::TooMany(self.usage)),
        }
    }
}

impl Message {
    /// Reads a message from its words.
    pub fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Self, MessageError<'a>> {
        let name = words.next().ok_or(MessageError::Unknown(""))?;
        let usage = usage(name).ok_or(MessageError::Unknown(name))?;
        let mut words = Words {
            words,
            usage,
            _word: core::marker::PhantomData,
        };
        let message = match name {
            "ping" => Self::Ping,
            "info" => Self::Info,
            "stats" => match words.words.next() {
                None => Self::Stats,
                Some("reset") => Self::StatsReset,
                Some(_) => return Err(MessageError::TooMany(usage)),
            },
            "debug" => Self::Debug,
            "remap" => {
                let sector = words.required()?;
                let (sectors, is_lossy) = words.sectors_and_word("lossy")?;
                if sectors == 0 {
                    return Err(MessageError::Zero(usage));
                }
                Self::Remap {
                    sector,
                    sectors,
                    is_lossy,
                }
            }
            "unremap" => Self::Unremap {
                sector: words.required()?,
            },
            "list" => Self::List {
                from: words.optional()?.unwrap_or(0),
            },
            "suspects" => Self::Suspects {
                from: words.optional()?.unwrap_or(0),
            },
            "retest" => Self::Retest {
                sector: words.required()?,
            },
            "rearm" => Self::Rearm,
            "breaker" => match words.optional()? {
                None => Self::Breaker,
                Some(units) => Limit::new(units, words.required()?)
                    .map(Self::SetBreaker)
                    .ok_or(MessageError::Limit(usage))?,
            },
            "checkpoint" => Self::Checkpoint,
            "scan" => match words.words.next() {
                None | Some("status") => Self::Scan,
                Some("start") => Self::ScanStart,
                Some("pause") => Self::ScanPause,
                Some("stop") => Self::ScanStop,
                Some("rate") => match words.required()? {
                    rate @ 1..=MOST_RATE => Self::ScanRate(rate),
                    _ => return Err(MessageError::NoRate(usage)),
                },
                Some(_) => return Err(MessageError::Order(usage)),
            },
            "cache" => Self::Cache,
            "numa" => Self::Numa,
            "reason" => Self::Reason,
            "help" => Self::Help,
            _ => return Err(MessageError::Unknown(name)),
        };
        words.end(message)
    }
}

/// The line of [`HELP`] that is about `name`, up to its colon.
fn usage(name: &str) -> Option<&'static str> {
    HELP.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(usage, _)| usage)
        .find(|usage| usage.split(' ').next() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Message, MessageError<'_>> {
        Message::parse(text.split_whitespace())
    }

    #[test]
    fn every_message_in_help_is_known() {
        for line in HELP.lines() {
            let usage = line.split_once(':').unwrap().0;
            let name = usage.split(' ').next().unwrap();
            let with_number = format!("{name} 8");
            assert!(parse(name).is_ok() || parse(&with_number).is_ok(), "{name}");
        }
    }

    #[test]
    fn good_messages() {
        for (text, want) in [
            ("ping", Message::Ping),
            ("stats", Message::Stats),
            ("stats reset", Message::StatsReset),
            (
                "remap 9",
                Message::Remap {
                    sector: 9,
                    sectors: 1,
                    is_lossy: false,
                },
            ),
            (
                "remap 9 100",
                Message::Remap {
                    sector: 9,
                    sectors: 100,
                    is_lossy: false,
                },
            ),
            (
                "remap 9 lossy",
                Message::Remap {
                    sector: 9,
                    sectors: 1,
                    is_lossy: true,
                },
            ),
            (
                "remap 9 100 lossy",
                Message::Remap {
                    sector: 9,
                    sectors: 100,
                    is_lossy: true,
                },
            ),
            ("unremap 7", Message::Unremap { sector: 7 }),
            ("list", Message::List { from: 0 }),
            ("list 64", Message::List { from: 64 }),
            ("suspects 1", Message::Suspects { from: 1 }),
            ("retest 1", Message::Retest { sector: 1 }),
            ("scan", Message::Scan),
            ("scan status", Message::Scan),
            ("scan start", Message::ScanStart),
            ("scan rate 100", Message::ScanRate(100)),
            ("breaker", Message::Breaker),
            ("breaker 32 10", Message::SetBreaker(Limit::DEFAULT)),
        ] {
            assert_eq!(parse(text), Ok(want));
        }
    }

    #[test]
    fn refusals_say_what_is_right() {
        for (text, want) in [
            ("", "unknown message '', see 'help'"),
            ("frobnicate", "unknown message 'frobnicate', see 'help'"),
            (
                "remap",
                "argument missing: want 'remap <sector> [<sectors>] [lossy]'",
            ),
            (
                "remap x",
                "'x' is not a number: want 'remap <sector> [<sectors>] [lossy]'",
            ),
            (
                "remap 1 0",
                "nothing to do for zero sectors: want 'remap <sector> [<sectors>] [lossy]'",
            ),
            (
                "remap 1 8 both",
                "too many arguments: want 'remap <sector> [<sectors>] [lossy]'",
            ),
            (
                "remap 1 lossy 8",
                "too many arguments: want 'remap <sector> [<sectors>] [lossy]'",
            ),
            ("unremap 1 2", "too many arguments: want 'unremap <sector>'"),
            (
                "unremap 99999999999999999999",
                "'99999999999999999999' is not a number: want 'unremap <sector>'",
            ),
            (
                "breaker 5",
                "argument missing: want 'breaker [<units> <seconds>]'",
            ),
            (
                "breaker 5 0",
                "no limit of the breaker: want 'breaker [<units> <seconds>]'",
            ),
            ("stats all", "too many arguments: want 'stats [reset]'"),
            (
                "scan now",
                "no such order: want 'scan [status|start|pause|stop|rate <number>]'",
            ),
            (
                "scan rate",
                "argument missing: want 'scan [status|start|pause|stop|rate <number>]'",
            ),
            (
                "scan rate 0",
                "no rate from 1 to 1073741824: want 'scan [status|start|pause|stop|rate <number>]'",
            ),
            (
                "scan rate 1073741825",
                "no rate from 1 to 1073741824: want 'scan [status|start|pause|stop|rate <number>]'",
            ),
            (
                "scan start 5",
                "too many arguments: want 'scan [status|start|pause|stop|rate <number>]'",
            ),
            ("ping pong", "too many arguments: want 'ping'"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), want);
        }
    }

    proptest! {
        #[test]
        fn never_panics(words in prop::collection::vec(".*", 0..5)) {
            if let Err(error) = Message::parse(words.iter().map(String::as_str)) {
                let _ = error.to_string();
            }
        }
    }
}
