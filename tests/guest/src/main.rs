// SPDX-License-Identifier: GPL-2.0

//! Tests of the module, which run as root in a guest. The program runs a single test each time.
//!
//! ```text
//! guest-tests list           prints the tests and their requirements, as JSON
//! guest-tests requests       prints the possible requests to the host, as JSON
//! guest-tests begin          prepares a guest for tests
//! guest-tests as-new         makes a guest fresh again, and fails otherwise
//! guest-tests no-leak        fails if the kernel leaked memory
//! guest-tests run NAME       runs a test, and cleans up after it
//! guest-tests body NAME      runs a test
//! ```
//!
//! `run` exits with 195 if the test passed, but the guest can run no other.

#![forbid(unsafe_code)]

mod abstractions;
mod adopt;
mod boot;
mod breaker;
mod crash;
mod errors;
mod files;
mod input;
mod kit;
mod lifecycle;
mod map;
mod memory;
mod messages;
mod metadata;
mod model;
mod monitor;
mod moving;
mod operations;
mod outage;
mod partitions;
mod races;
mod remapctl;
mod retire;
mod scan;
mod spare;
mod swap;

use anyhow::{
    bail,
    Context,
    Result, //
};
use kit::{
    faults,
    fresh,
    host::{
        self,
        Request, //
    },
    Test, //
};
use serde_json::json;
use std::{
    env,
    process::{
        Command,
        ExitCode, //
    },
};

/// The exit status after a test that passed, in a guest that can run no other.
const SPENT: u8 = 195;

/// All tests.
fn all() -> Vec<Test> {
    let subjects = [
        abstractions::tests(),
        adopt::tests(),
        boot::tests(),
        breaker::tests(),
        crash::tests(),
        errors::tests(),
        files::tests(),
        input::tests(),
        lifecycle::tests(),
        map::tests(),
        memory::tests(),
        messages::tests(),
        metadata::tests(),
        model::tests(),
        monitor::tests(),
        moving::tests(),
        operations::tests(),
        outage::tests(),
        partitions::tests(),
        races::tests(),
        remapctl::tests(),
        retire::tests(),
        scan::tests(),
        spare::tests(),
        swap::tests(),
    ];
    subjects.into_iter().flatten().collect()
}

fn find(name: &str) -> Result<Test> {
    all()
        .into_iter()
        .find(|test| test.name == name)
        .with_context(|| format!("no test '{name}'"))
}

fn main() -> ExitCode {
    let words: Vec<_> = env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["list"] => list(),
        ["requests"] => requests(),
        ["begin"] => fresh::begin().map(|()| ExitCode::SUCCESS),
        ["as-new"] => as_new(),
        ["no-leak"] => faults::no_leak().map(|()| ExitCode::SUCCESS),
        ["run", name] => run(name),
        ["body", name] => body(name),
        _ => usage(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("FAILED: {error:?}");
        ExitCode::FAILURE
    })
}

fn usage() -> Result<ExitCode> {
    bail!("usage: guest-tests list|requests|begin|as-new|no-leak, or run|body NAME")
}

fn as_new() -> Result<ExitCode> {
    Ok(match fresh::is_as_new()? {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn list() -> Result<ExitCode> {
    let tests: Vec<_> = all()
        .iter()
        .map(|test| json!({ "name": test.name, "needs": test.needs }))
        .collect();
    println!("{}", serde_json::to_string(&tests)?);
    Ok(ExitCode::SUCCESS)
}

fn requests() -> Result<ExitCode> {
    println!("{}", serde_json::to_string(&Request::all())?);
    Ok(ExitCode::SUCCESS)
}

fn body(name: &str) -> Result<ExitCode> {
    let test = find(name)?;
    if let Ok(seed) = env::var("SEED") {
        let seed: u64 = seed.parse().context("SEED")?;
        // Each boot makes its own choices.
        fastrand::seed(seed.wrapping_add(u64::from(host::boot() - 1)));
    }
    env::set_current_dir("/tmp")?;
    (test.run)()?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the test in a process of its own. The test may panic, and its threads end with the process.
fn run(name: &str) -> Result<ExitCode> {
    let status = Command::new(env::current_exe()?)
        .args(["body", name])
        // Page faults are slow, so freed memory stays with the program unless it is large.
        .env(
            "GLIBC_TUNABLES",
            "glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=67108864",
        )
        .status()?;
    if !status.success() {
        let seed = env::var("SEED").unwrap_or_default();
        eprintln!("FAILED: {name}; again: make test T={name} SEED={seed}");
        return Ok(ExitCode::FAILURE);
    }
    fresh::take_down().context("after the test")?;
    host::give_back()?;
    Ok(match fresh::is_as_new()? {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(SPENT),
    })
}
