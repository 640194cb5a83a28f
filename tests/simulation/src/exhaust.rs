// SPDX-License-Identifier: GPL-2.0

//! All sequences of a few acts, with each of the engine's I/Os failing in turn.

use crate::config::Config;
use crate::world::{
    Act,
    Failure,
    World, //
};

const FAILURES: [Failure; 4] = [
    Failure::Medium,
    Failure::Path,
    Failure::Lost,
    Failure::PowerCut,
];

/// Runs all sequences of exactly `length` acts; how many runs that were.
pub fn all(length: u32) -> Result<u64, String> {
    let acts = Act::ALL.len();
    let mut runs = 0;
    for number in 0..acts.pow(length) {
        let digits = (0..length).map(|place| number / acts.pow(place) % acts);
        let sequence: Vec<Act> = digits.map(|digit| Act::ALL[digit]).collect();
        for is_drained in [true, false] {
            runs += with_failures(&sequence, is_drained)?;
        }
    }
    Ok(runs)
}

fn with_failures(sequence: &[Act], is_drained: bool) -> Result<u64, String> {
    let run = |failing| {
        let done = World::new(Config::QUIET, 1).sequence(sequence, is_drained, failing);
        done.map_err(|wrong| format!("{sequence:?}, drained {is_drained}, {failing:?}: {wrong}"))
    };
    let ios = run(None)?;
    for at in 0..ios {
        for failure in FAILURES {
            run(Some((at, failure)))?;
        }
    }
    Ok(1 + ios * FAILURES.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_up_to_two_acts() {
        let runs: Result<u64, String> = (0..=2).map(all).sum();
        match runs {
            Ok(runs) => assert!(runs > 1000, "{runs}"),
            Err(wrong) => panic!("{wrong}"),
        }
    }
}
