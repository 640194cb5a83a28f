// SPDX-License-Identifier: GPL-2.0

//! Tests of the module, which run as root in a guest, one for each run of the program.
//!
//! ```text
//! guest-tests list           the tests and what they need, as JSON
//! guest-tests requests       what they may ask of the host, as JSON
//! guest-tests begin          makes a guest as tests expect it
//! guest-tests as-new         makes a guest as new, and fails if it is not
//! guest-tests no-leak        fails if the kernel leaked memory
//! guest-tests run NAME       runs a test, and takes down what it put up
//! guest-tests body NAME      runs a test
//! ```
//!
//! `run` exits with 195 if the test passed, and the guest can run no other.

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
mod operations;
mod outage;
mod partitions;
mod races;
mod remapctl;
mod scan;
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

/// What the program exits with when a test passed in a guest that can run no other.
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
        operations::tests(),
        outage::tests(),
        partitions::tests(),
        races::tests(),
        remapctl::tests(),
        scan::tests(),
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
        // Each boot makes choices of its own.
        fastrand::seed(seed.wrapping_add(u64::from(host::boot() - 1)));
    }
    env::set_current_dir("/tmp")?;
    (test.run)()?;
    Ok(ExitCode::SUCCESS)
}

/// The test runs in a process of its own, which may panic, and with which its threads end.
fn run(name: &str) -> Result<ExitCode> {
    let status = Command::new(env::current_exe()?)
        .args(["body", name])
        // A fault of a page takes long, so what was freed stays the program's, unless it is large.
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
    fresh::take_down().context("behind the test")?;
    host::give_back()?;
    Ok(match fresh::is_as_new()? {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(SPENT),
    })
}
