// SPDX-License-Identifier: GPL-2.0

//! The transitions that the machines make, each of which a run must see.

use std::collections::BTreeMap;

/// A machine, the name of a state, and that of the state after one event.
pub type Transition = (&'static str, &'static str, &'static str);

/// The name of a state, and those of the states that follow it.
pub type State = (&'static str, &'static [&'static str]);

/// How often each transition was made.
pub type Coverage = BTreeMap<Transition, u64>;

/// All transitions of all machines, as the tables of their documents have them. Several steps that
/// need no event are one transition.
#[rustfmt::skip]
pub const ALL: &[(&str, &[State])] = &[
    ("Request", &[
        ("Choosing", &["Choosing", "Trying", "Growing", "AskingReads", "Committing"]),
        ("Trying", &["Trying", "Choosing", "Verifying", "AskingReads", "Moving", "Queued", "Judging"]),
        ("AskingReads", &["AskingReads", "AskingWrites"]),
        ("AskingWrites", &["AskingWrites", "Choosing", "Rewriting", "Moving", "Queued"]),
        ("Rewriting", &["Rewriting", "Choosing", "Moving", "Queued"]),
        ("Verifying", &["Verifying", "Choosing", "Trying", "AskingReads"]),
        ("Growing", &["Growing", "Choosing", "Staging", "Moving"]),
        ("Staging", &["Staging", "Choosing"]),
        ("Moving", &["Moving", "Choosing", "Trying", "Queued"]),
        ("Queued", &["Queued", "Trying"]),
        ("Judging", &["Judging"]),
        ("Committing", &["Committing"]),
    ]),
    ("Relocation", &[
        ("Claiming", &["Claiming", "Quiescing"]),
        ("Quiescing", &["Reading", "Writing"]),
        ("Reading", &["Reading", "Asking", "Writing"]),
        ("Asking", &["Asking", "Reading", "Writing"]),
        ("Writing", &["Writing", "AskingSpare", "Rechecking", "Staging"]),
        ("AskingSpare", &["AskingSpare", "Writing", "Judging"]),
        ("Rechecking", &["Rechecking", "Staging"]),
        ("Judging", &["Judging", "Retiring"]),
        ("Retiring", &["Retiring"]),
        ("Staging", &["Staging"]),
    ]),
    ("Unrelocation", &[
        ("Claiming", &["Claiming", "Quiescing"]),
        ("Quiescing", &["Reading"]),
        ("Reading", &["Reading", "Writing"]),
        ("Writing", &["Writing", "Checking"]),
        ("Checking", &["Checking", "Comparing"]),
        ("Comparing", &["Comparing", "Staging"]),
        ("Staging", &["Staging"]),
    ]),
    ("Finding", &[
        ("Begin", &["Begin", "AskingReads"]),
        ("AskingReads", &["AskingReads", "AskingWrites"]),
        ("AskingWrites", &["AskingWrites"]),
    ]),
    ("Prober", &[
        ("Idle", &["Idle", "Reading", "Committing"]),
        ("Reading", &["Idle", "Reading", "Committing"]),
        ("Committing", &["Idle", "Reading", "Committing"]),
    ]),
    ("Writer", &[
        ("Idle", &["Commit", "Checkpoint"]),
        ("Commit", &["Idle", "Commit", "Dead"]),
        ("Checkpoint", &["Idle", "Checkpoint", "Dead"]),
    ]),
];

/// Transitions for which several requests or moves must meet in one unit: a run need not see them.
const RARE: &[Transition] = &[
    ("Request", "AskingWrites", "Trying"),
    ("Request", "Growing", "Queued"),
    ("Request", "Judging", "Trying"),
    ("Request", "Moving", "AskingReads"),
    ("Request", "Moving", "Growing"),
    ("Request", "Queued", "AskingReads"),
    ("Request", "Queued", "Choosing"),
    ("Request", "Queued", "Growing"),
];

/// The transitions that were not made, and those that are not in the table.
pub fn gaps(made: &Coverage) -> (Vec<Transition>, Vec<Transition>) {
    let all: Vec<Transition> = ALL
        .iter()
        .flat_map(|&(machine, states)| {
            let of = move |&(from, to): &State| to.iter().map(move |&to| (machine, from, to));
            states.iter().flat_map(of)
        })
        .collect();
    let missing = all.iter().filter(|own| !made.contains_key(*own));
    let unknown = made
        .keys()
        .filter(|own| !all.contains(own) && !RARE.contains(own));
    (missing.copied().collect(), unknown.copied().collect())
}
