// SPDX-License-Identifier: GPL-2.0

//! `remapctl import`: relocating what lists name.

use crate::cli;
use crate::lists::{
    self,
    OnDisk, //
};
use crate::offline::read_text;
use crate::say::Say;
use crate::sysfs::BlockDevice;
use anyhow::{
    bail,
    Context,
    Result, //
};
use remap_active::{
    mapper::Mapper,
    table::Line,
    TYPE, //
};
use serde_json::json;
use std::ops::Range;
use std::process::ExitCode;

/// The part of a range that lies in a target, as the mapped device counts.
fn within(range: &Range<u64>, target: &Line) -> Option<Range<u64>> {
    let start = range.start.max(target.start);
    let end = range.end.min(target.start + target.sectors);
    (start < end).then_some(start..end)
}

/// The device of that number, as tables of mapped devices have it: `8:1`.
fn device_of(word: &str) -> Option<BlockDevice> {
    let (major, minor) = word.split_once(':')?;
    let number = rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?);
    BlockDevice::numbered(number).ok()
}

/// The `remap` lines in the table of a device.
pub fn lines(mapper: &Mapper, name: &str) -> Result<Vec<Line>> {
    let mut table = mapper.table(name)?;
    table.retain(|line| line.kind == TYPE);
    Ok(table)
}

/// The only `remap` target in the table of a device.
fn target(mapper: &Mapper, name: &str) -> Result<Line> {
    let mut table = lines(mapper, name)?;
    match table.pop() {
        Some(line) if table.is_empty() => Ok(line),
        _ => bail!("{name} has not one {TYPE} target, but {}", table.len() + 1),
    }
}

/// The devices of an active array.
pub fn devices(mapper: &Mapper, name: &str) -> Result<cli::Devices> {
    devices_of(name, &target(mapper, name)?)
}

/// The devices of a `remap` line in the table of a device.
pub fn devices_of(name: &str, line: &Line) -> Result<cli::Devices> {
    let words: Vec<_> = line.words.split(' ').collect();
    let parsed = || {
        let [main, main_start, spare, spare_start, spare_len, ..] = words[..] else {
            return None;
        };
        Some(cli::Devices {
            main: device_of(main)?.path,
            spare: device_of(spare)?.path,
            main_start: main_start.parse().ok()?,
            spare_start: spare_start.parse().ok()?,
            spare_len: Some(spare_len.parse().ok()?),
        })
    };
    parsed().with_context(|| format!("the table of {name} is '{line}'"))
}

/// Where the only `remap` target of a device lies on the disk that its main is of.
fn place(mapper: &Mapper, name: &str) -> Result<OnDisk> {
    let (devices, line) = (devices(mapper, name)?, target(mapper, name)?);
    let place = OnDisk::of(&BlockDevice::at(&devices.main)?, devices.main_start)?;
    Ok(OnDisk {
        sectors: line.sectors,
        ..place
    })
}

/// `remapctl import`
pub fn import(say: &Say, args: &cli::Import) -> Result<ExitCode> {
    let text = read_text(&args.file)?;
    let mapper = Mapper::new()?;
    let place = match args.form {
        // These say nothing of the disk.
        cli::ListForm::Badblocks | cli::ListForm::Ddrescue => OnDisk::whole(),
        _ => place(&mapper, &args.name)?,
    };
    let bad = lists::read(args.form, &text, args.block_size, &place)?;
    relocate(say, &mapper, &args.name, &bad, args.lossy, args.dry_run)
}

/// Relocates the units of these sectors of a mapped device, or says that it would.
pub fn relocate(
    say: &Say,
    mapper: &Mapper,
    name: &str,
    bad: &[Range<u64>],
    lossy: bool,
    dry_run: bool,
) -> Result<ExitCode> {
    let targets = mapper.targets(name)?;
    let mut jobs = Vec::new();
    for range in bad {
        let parts = targets.iter().filter_map(|t| Some((t, within(range, t)?)));
        let before = jobs.len();
        jobs.extend(parts);
        let covered: u64 = jobs[before..]
            .iter()
            .map(|(_, part)| part.end - part.start)
            .sum();
        if covered < range.end - range.start {
            bail!(
                "sectors {} to {} are not all on the device",
                range.start,
                range.end - 1
            );
        }
    }
    let sectors: u64 = bad.iter().map(|range| range.end - range.start).sum();
    let mut stay = Vec::new();
    for (at, (target, part)) in jobs.iter().enumerate() {
        if !dry_run {
            let text = format!(
                "remap {} {}{}",
                part.start,
                part.end - part.start,
                if lossy { " lossy" } else { "" }
            );
            match mapper.message(name, target.start, &text) {
                Ok(_) => {}
                Err(error) if asks_for_lossy(&error) => stay.push((part, error)),
                Err(error) => return Err(error),
            }
        }
        say.progress("relocating", at as u64 + 1, jobs.len() as u64);
    }
    let word = if dry_run {
        "would relocate"
    } else {
        "relocated"
    };
    let mut lines = vec![match stay.len() {
        0 => format!("{word} {} ranges of {sectors} sectors", bad.len()),
        some => format!("{word} what can be read; {some} ranges are not all relocated:"),
    }];
    lines.extend(stay.iter().map(|(part, error)| {
        let (start, last) = (part.start, part.end - 1);
        format!("sectors {start} to {last}: {error}")
    }));
    let staying = |(part, error): &(&Range<u64>, anyhow::Error)| {
        let (sector, sectors) = (part.start, part.end - part.start);
        json!({ "sector": sector, "sectors": sectors, "reason": format!("{error:#}") })
    };
    say.both(
        &json!({
            "ranges": bad.len(),
            "sectors": sectors,
            "done": !dry_run && stay.is_empty(),
            "stay": stay.iter().map(staying).collect::<Vec<_>>(),
        }),
        format_args!("{}", lines.join("\n")),
    );
    Ok(match stay.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Whether a range was refused for blocks that cannot be read. What could be moved of it was.
fn asks_for_lossy(error: &anyhow::Error) -> bool {
    error.to_string().contains("'lossy'")
}
