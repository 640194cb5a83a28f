// SPDX-License-Identifier: GPL-2.0

//! What is told of arrays.

use crate::findings::{
    Finding,
    Severity, //
};
use serde::Serialize;

/// What became of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It was not there before.
    Begins,
    /// There is more of it.
    Grows,
    /// It is there no more.
    Ends,
}

impl Change {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Begins => "begins",
            Self::Grows => "grows",
            Self::Ends => "ends",
        }
    }
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The name of the array.
    pub array: String,
    /// The first sector of the target.
    pub start: u64,
    /// The name of the state.
    pub state: &'static str,
    /// What became of it.
    pub change: Change,
    /// How bad it is.
    pub severity: Severity,
    /// What is the matter, for people.
    pub message: String,
    /// What to do about it, for people; nothing at its end.
    pub action: String,
}

impl Event {
    /// What became of what was found in an array.
    pub fn of(array: &str, start: u64, change: Change, finding: &Finding) -> Self {
        let ends = change == Change::Ends;
        Self {
            array: array.to_string(),
            start,
            state: finding.state,
            change,
            severity: if ends {
                Severity::Notice
            } else {
                finding.severity
            },
            message: match ends {
                true => format!("array {array}: no longer: {}", finding.message),
                false => format!("array {array}: {}", finding.message),
            },
            action: match ends {
                true => String::new(),
                false => finding.action.replace("NAME", array),
            },
        }
    }
}
