// SPDX-License-Identifier: GPL-2.0

//! `remapctl`: formats, checks and repairs dm-remap arrays, and talks to active ones.
//!
//! What is on disk is read and written by the code of the module itself (`src/core`).

#![forbid(unsafe_code)]

mod activate;
mod active;
mod adopt;
mod apart;
mod array;
mod assemble;
mod backup;
mod backups;
mod changed;
mod cli;
mod device;
mod dump;
mod export;
mod extent;
mod findings;
mod fstab;
mod generate;
mod ground;
mod identity;
mod lists;
mod lock;
mod main_alone;
mod mapped;
mod metrics;
mod monitor;
mod moving;
mod offline;
mod probe;
mod random;
mod rehearse;
mod relocate;
mod remaptab;
mod renew;
mod repair;
mod restore;
mod retire;
mod say;
mod scan;
mod spare;
mod status;
mod sysfs;
mod udev;
mod usage;
mod when;

use clap::Parser;
use cli::Command;
use say::Say;
use std::process::ExitCode;

/// The exit status of what failed.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let say = Say { json: cli.json };
    let done = match &cli.command {
        Command::Format(args) => offline::format(&say, args),
        Command::Check(args) => offline::check(&say, args),
        Command::Dump(args) => offline::dump(args),
        Command::Restore(args) => restore::restore(&say, args),
        Command::Repair(args) => repair::repair(&say, args),
        Command::Backup(args) => backup::backup(&say, args),
        Command::History(args) => backup::history(&say, args),
        Command::Adopt(args) => adopt::adopt(&say, args),
        Command::Activate(args) => assemble::assemble(&say, args),
        Command::Retire(args) => retire::retire(&say, args),
        Command::Spare(cli::SpareAction::Replace(args)) => spare::replace(&say, args),
        Command::Create(args) => activate::create(&say, args),
        Command::Remove(args) => activate::remove(&say, args),
        Command::Status(args) => status::status(&say, args),
        Command::List(args) => active::list(&say, args),
        Command::Import(args) => relocate::import(&say, args),
        Command::Scan(args) => scan::scan(&say, args),
        Command::Watch(args) => active::watch(&say, args),
        Command::Export(args) => export::export(&say, args),
        Command::Monitor(args) => monitor::monitor(&say, args),
        Command::Metrics(args) => metrics::metrics(args),
        Command::UdevProbe(args) => probe::udev_probe(args),
        Command::Generate { folder } => generate::generate(folder),
    };
    done.unwrap_or_else(|error| {
        say.error(&error);
        ExitCode::from(FAILED)
    })
}
