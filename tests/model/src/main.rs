// SPDX-License-Identifier: GPL-2.0

//! Reads and writes a device from several threads while its disks fail, and stops at the first lie.
//!
//! `model DEVICE [NAME=VALUE...]`; the device holds zeroes. See [`options`] for the names.

#![forbid(unsafe_code)]

mod disk;
mod faults;
mod options;
mod shell;
mod workers;

use anyhow::Result;
use options::Options;
use shell::Shell;
use workers::Shared;

/// Reads all there is, in large pieces and where they fail block by block.
fn verify(shared: &Shared, options: &Options) -> Result<()> {
    let mut worker = shared.worker(options, u64::MAX)?;
    for start in (0..options.blocks).step_by(64) {
        worker.read(start..options.blocks.min(start + 64))?;
    }
    Ok(())
}

/// Takes the device away and brings it back.
fn again(name: &str, shell: &mut Shell) -> Result<()> {
    let table = shell.table(name)?;
    shell.must(&format!("remove {name}"))?;
    shell.must(&format!("create {name} {table}"))?;
    Ok(())
}

fn run(options: &Options) -> Result<String> {
    let shared = Shared::new(options);
    let mut shell = Shell::new()?;
    let faults = std::thread::scope(|scope| {
        let shared = &shared;
        let work = |number| move || shared.stop_at(shared.worker(options, number)?.run());
        let workers: Vec<_> = (0..options.threads)
            .map(|number| scope.spawn(work(number)))
            .collect();
        let faults = scope.spawn(|| shared.stop_at(faults::run(shared, options, &mut shell)));
        for worker in workers {
            worker.join().expect("a worker panicked")?;
        }
        shared.all_done();
        faults.join().expect("the faults panicked")
    })?;
    verify(&shared, options)?;
    if let Some(name) = &options.name {
        again(name, &mut shell)?;
        verify(&shared, options)?;
    }
    Ok(format!("{}, {faults} faults", shared.summary()))
}

fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    println!("seed={}", options.seed);
    println!("{}", run(&options)?);
    Ok(())
}
