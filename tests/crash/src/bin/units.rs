// SPDX-License-Identifier: GPL-2.0

//! Writes versions of units to a device, and checks which are there after a crash.
//!
//! `units write DEVICE FIRST LAST COUNT` writes so many times to one of these units, chosen at random,
//! and says on standard output what it begins (`begin UNIT VERSION`) and what was acknowledged as durable
//! (`ack UNIT VERSION`). With `LOG`, the name of a dm-log-writes device, that is put into the log instead.
//! `units try ...` goes on when a write fails, which `write` does not.
//! `units check DEVICE STORY` compares the device with what was said.

#![forbid(unsafe_code)]

use anyhow::{
    bail,
    ensure,
    Context,
    Result, //
};
use crash::versions::{
    Known,
    UNIT_BYTES, //
};
use model::content::fill;
use std::fs::{
    File,
    OpenOptions, //
};
use std::os::unix::fs::{
    FileExt,
    OpenOptionsExt, //
};
use std::process::Command;

/// A unit in memory, aligned for direct I/O.
#[repr(align(4096))]
struct Aligned([u8; UNIT_BYTES]);

/// Opens a device for reads and writes that pass the page cache by, and are durable when they return.
fn open(device: &str) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options.custom_flags(libc::O_DIRECT | libc::O_DSYNC);
    options.open(device).with_context(|| device.to_owned())
}

/// Tells what begins or ended.
fn tell(log: Option<&str>, what: &str, unit: u64, version: u64) -> Result<()> {
    let Some(log) = log else {
        println!("{what} {unit} {version}");
        return Ok(());
    };
    let mark = format!("{what}-{unit}-{version}");
    let mut told = Command::new("dmsetup");
    told.args(["message", log, "0", "mark", &mark]);
    ensure!(told.status()?.success(), "cannot mark the log");
    Ok(())
}

/// What is written: a device, its first and its last unit, and how many times.
type Work<'a> = [&'a str; 4];

fn write(work: Work<'_>, log: Option<&str>, may_fail: bool) -> Result<()> {
    let [device, first, last, count] = work;
    let file = open(device)?;
    let units = first.parse::<u64>()?..=last.parse()?;
    let mut block = Box::new(Aligned([0; UNIT_BYTES]));
    for version in 1..=count.parse()? {
        let unit = fastrand::u64(units.clone());
        fill(&mut block.0, unit, version);
        tell(log, "begin", unit, version)?;
        match file.write_all_at(&block.0, unit * UNIT_BYTES as u64) {
            Ok(()) => tell(log, "ack", unit, version)?,
            Err(_) if may_fail => (),
            Err(error) => return Err(error).context(format!("unit {unit}")),
        }
    }
    Ok(())
}

/// What was said before the crash; the last line may have been cut.
fn heard(story: &str) -> Result<Known> {
    let mut known = Known::default();
    for line in story
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
    {
        let words: Vec<_> = line.split_whitespace().collect();
        if let [what @ ("begin" | "ack"), unit, version] = words[..] {
            known.note([what, unit, version])?;
        }
    }
    Ok(known)
}

fn check(device: &str, story: &str) -> Result<()> {
    let known = heard(&String::from_utf8_lossy(&std::fs::read(story)?))?;
    let file = open(device)?;
    let mut block = Box::new(Aligned([0; UNIT_BYTES]));
    for unit in known.units() {
        match file.read_exact_at(&mut block.0, unit * UNIT_BYTES as u64) {
            Ok(()) => known.check(unit, &block.0)?,
            Err(_) if !known.is_acked(unit) => (),
            Err(error) => return Err(error).context(format!("unit {unit}")),
        }
    }
    ensure!(known.acked() > 0, "nothing was acknowledged");
    println!("{} units have what was acknowledged", known.acked());
    Ok(())
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["write", device, first, last, count] => write([device, first, last, count], None, false),
        ["write", device, first, last, count, log] => {
            write([device, first, last, count], Some(log), false)
        }
        ["try", device, first, last, count] => write([device, first, last, count], None, true),
        ["check", device, story] => check(device, story),
        _ => {
            bail!("usage: units write|try DEVICE FIRST LAST COUNT [LOG] | units check DEVICE STORY")
        }
    }
}
