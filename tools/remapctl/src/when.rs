// SPDX-License-Identifier: GPL-2.0

//! Which backup is meant.

use anyhow::{
    Context,
    Result, //
};
use jiff::Timestamp;
use std::str::FromStr;

/// Which backup is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The newest of this commit.
    Commit(u64),
    /// The newest that is not newer than this.
    Time(Timestamp),
}

impl FromStr for When {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Ok(commit) = text.parse() {
            return Ok(Self::Commit(commit));
        }
        let time = text.parse();
        time.map(Self::Time)
            .with_context(|| format!("'{text}': want a commit or a time, as 'history' shows them"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_or_a_time_is_read() {
        let time = Timestamp::from_second(1_764_000_000).unwrap();
        assert_eq!("57".parse::<When>().unwrap(), When::Commit(57));
        assert_eq!(
            "2025-11-24T16:00:00Z".parse::<When>().unwrap(),
            When::Time(time)
        );
        assert!("yesterday".parse::<When>().is_err());
    }
}
