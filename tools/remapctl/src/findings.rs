// SPDX-License-Identifier: GPL-2.0

//! What is the matter with an array, how bad that is, and what to do about it.

use remap_active::status::Status;
use serde::Serialize;

/// How bad something is; the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing is lost, and nothing is in danger at this moment.
    Notice,
    /// Somebody has to look at it soon.
    Warning,
    /// Data are lost, or the next bad sector loses some.
    Critical,
}

impl Severity {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The priority of a message in the journal: those of syslog(3).
    pub const fn priority(self) -> u8 {
        match self {
            Self::Notice => 5,
            Self::Warning => 4,
            Self::Critical => 2,
        }
    }
}

/// One thing that is the matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the state.
    pub state: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is the matter, for people.
    pub message: String,
    /// What to do about it, for people.
    pub action: &'static str,
    /// How much of it there is: what is told again when it grows.
    #[serde(skip)]
    pub amount: u64,
}

/// The names of all states, from the gravest on.
pub const STATES: [&str; 11] = [
    "refused",
    "frozen",
    "tripped",
    "lost",
    "suspect",
    "exhausted",
    "nearly-exhausted",
    "degraded",
    "scan-failed",
    "memory-short",
    "relocated",
];

/// From how many parts in a hundred on the spare units are nearly used up.
const NEARLY: u64 = 80;

/// All that is the matter with a target, the gravest first.
pub fn findings(status: &Status) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut note = |state, severity, amount, message: String, action| {
        all.push(Finding {
            state,
            severity,
            message,
            action,
            amount,
        });
    };
    let gone = status.used.of + status.retired;
    let units = |count: u64| match count {
        1 => "1 unit".to_string(),
        _ => format!("{count} units"),
    };
    if status.health == "refused" {
        note(
            "refused",
            Severity::Critical,
            1,
            "the last activation was refused, and all I/O waits".into(),
            "the kernel log has the reason (dmesg | grep remap), and 'remapctl check' of its devices \
             says more; then deactivate the array, and activate it again",
        );
    }
    if status.health == "frozen" {
        note(
            "frozen",
            Severity::Critical,
            1,
            "no copy of the metadata on the spare can be written, so nothing is relocated any more"
                .into(),
            "save the data; see to the spare and its cable; then deactivate the array, and activate \
             it again",
        );
    }
    if status.breaker == "open" {
        note(
            "tripped",
            Severity::Critical,
            1,
            "the breaker is open: the disk fails as a whole, or too many units fail at a time, and \
             nothing is relocated"
                .into(),
            "see to the disk's cable and power, and to 'smartctl -x'; then send the message 'rearm' \
             with 'dmsetup message NAME 0 rearm'",
        );
    }
    if status.lost_blocks > 0 {
        note(
            "lost",
            Severity::Critical,
            status.lost_blocks,
            format!("{} blocks are lost, and reading them fails", status.lost_blocks),
            "restore the files that they belong to: each block works again as soon as it is written; \
             'remapctl list NAME' shows the units",
        );
    }
    if status.suspects > 0 {
        note(
            "suspect",
            Severity::Critical,
            status.suspects,
            format!("{} cannot be read", units(status.suspects)),
            "copy what still can be read; restore the files that fail: a unit is relocated when it \
             is written; 'dmsetup message NAME 0 suspects' shows their sectors",
        );
    }
    if gone >= status.used.all && status.used.all > 0 {
        note(
            "exhausted",
            Severity::Critical,
            gone,
            format!(
                "all {} spare units are used up: the next write that needs one fails",
                gone
            ),
            "replace the disk: copy the data to another one; or 'remapctl spare replace' has a larger \
             spare take the place of this one",
        );
    } else if gone * 100 >= status.used.all * NEARLY && status.used.all > 0 {
        note(
            "nearly-exhausted",
            Severity::Warning,
            gone,
            format!("{gone} of {} spare units are used up", status.used.all),
            "replace the disk before none is left: copy the data to another one",
        );
    }
    if status.regions.of < status.regions.all && status.health != "frozen" {
        let (good, all) = (status.regions.of, status.regions.all);
        note(
            "degraded",
            Severity::Warning,
            all - good,
            format!("only {good} of {all} copies of the metadata can be written"),
            "it is tried again every ten seconds; if it stays so, the spare fails: keep a \
             'remapctl dump', and replace the spare ('remapctl spare replace')",
        );
    }
    if status.scan == "failed" {
        note(
            "scan-failed",
            Severity::Warning,
            1,
            "the scan could not go on".into(),
            "'remapctl scan NAME' says why, and 'remapctl scan NAME start' tries again",
        );
    }
    if status.memory == "short" {
        note(
            "memory-short",
            Severity::Warning,
            1,
            "memory is short: units that cannot be read are not noted, and the scan waits".into(),
            "it ends by itself when there is memory again",
        );
    }
    if status.used.of > 0 {
        note(
            "relocated",
            Severity::Notice,
            status.used.of,
            format!(
                "{} of the disk cannot hold data any more and {} on the spare",
                units(status.used.of),
                if status.used.of == 1 { "is" } else { "are" }
            ),
            "keep a backup, and think of another disk: one that has begun to fail mostly goes on",
        );
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: &str = "healthy 0/1000 0 0 0 0 0 rw 2/2 closed 31/0/1 ok stopped 0/16384";

    fn states(line: &str) -> Vec<&'static str> {
        let all = findings(&line.parse().unwrap());
        all.iter().map(|finding| finding.state).collect()
    }

    #[test]
    fn each_state_is_named() {
        for (from, to, want) in [
            ("healthy", "healthy", &[][..]),
            ("healthy 0/1000", "relocated 1/1000", &["relocated"]),
            ("0/1000 0", "799/1000 0", &["relocated"]),
            ("0/1000 0", "799/1000 1", &["nearly-exhausted", "relocated"]),
            ("0/1000 0", "1000/1000 0", &["exhausted", "relocated"]),
            ("0/1000 0 0 0", "0/1000 0 2 3", &["lost", "suspect"]),
            ("2/2 closed", "1/2 open", &["tripped", "degraded"]),
            ("healthy", "frozen", &["frozen"]),
            ("healthy", "refused", &["refused"]),
            (
                "ok stopped",
                "short failed",
                &["scan-failed", "memory-short"],
            ),
            // As under a read-only table over a spare that is not formatted.
            ("0/1000 0 0 0 0 0 rw 2/2", "0/0 0 0 0 0 0 ro 0/0", &[]),
        ] {
            assert_eq!(states(&WELL.replacen(from, to, 1)), want, "{to}");
        }
    }

    #[test]
    fn all_names_are_in_the_list_and_the_gravest_come_first() {
        let worst = WELL
            .replace("healthy 0/1000 0 0 0", "frozen 999/1000 1 2 3")
            .replace("2/2 closed", "0/2 open")
            .replace("ok stopped", "short failed");
        let all = findings(&worst.parse().unwrap());
        assert!(all.iter().all(|finding| STATES.contains(&finding.state)));
        assert!(all.is_sorted_by(|a, b| a.severity >= b.severity));
        let order = |finding: &Finding| STATES.iter().position(|&name| name == finding.state);
        assert!(all.is_sorted_by_key(order));
    }
}
