// SPDX-License-Identifier: GPL-2.0

//! Runs the simulation for long (`simulation OPERATIONS [SEED]`), all short sequences (`simulation
//! sequences LENGTH`), or one world of those that failed, with all that happens in it (`simulation
//! world NAME SEED`).

use simulation::{
    config::Config,
    coverage::gaps,
    exhaust,
    runs,
    world::World, //
};
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "usage: simulation OPERATIONS [SEED] | simulation sequences LENGTH | \
                     simulation world NAME SEED";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let number = |word: &str| word.parse::<u64>().map_err(|_| USAGE.to_string());
    let done = match words[..] {
        ["world", name, seed] => number(seed).and_then(|seed| world(name, seed)),
        ["sequences", length] => number(length).and_then(sequences),
        [operations] => number(operations).and_then(|all| run(all, 0)),
        [operations, seed] => number(operations).and_then(|all| run(all, number(seed)?)),
        _ => Err(USAGE.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("simulation: {wrong}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one world, and prints all that happens in it.
fn world(name: &str, seed: u64) -> Result<(), String> {
    let found = Config::ALL.into_iter().find(|(own, _)| *own == name);
    let (_, config) = found.ok_or(USAGE)?;
    let mut world = World::new(config, seed);
    world.is_traced = true;
    world.run().map(|tally| println!("{tally:?}"))
}

/// Runs all sequences of up to so many acts.
fn sequences(longest: u64) -> Result<(), String> {
    for length in 0..=longest {
        let length = u32::try_from(length).map_err(|_| USAGE)?;
        println!("{length} acts: {} runs", exhaust::all(length)?);
    }
    Ok(())
}

/// Runs so many operations, and prints what happened and how often each transition was made.
fn run(operations: u64, seed: u64) -> Result<(), String> {
    let begun = Instant::now();
    let sum = runs::all(operations, seed)?;
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    for ((machine, from, to), count) in &sum.coverage {
        println!("{machine}: {from} -> {to}: {count}");
    }
    println!("{:?}", sum.tally);
    println!(
        "{:.0} operations a minute",
        sum.tally.operations as f64 / minutes
    );
    match gaps(&sum.coverage) {
        (missing, unknown) if missing.is_empty() && unknown.is_empty() => Ok(()),
        (missing, unknown) => Err(format!(
            "never made: {missing:?}; not in the table: {unknown:?}"
        )),
    }
}
