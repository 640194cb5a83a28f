// SPDX-License-Identifier: GPL-2.0

//! What is done to active arrays: status, list, import, watch.

use crate::cli;
use crate::lists;
use crate::offline::read_text;
use crate::say::Say;
use anyhow::{
    bail,
    Result, //
};
use remap_active::{
    list::relocations,
    mapper::Mapper,
    status::Status,
    table::Line, //
};
use serde_json::{
    json,
    Value, //
};
use std::ops::Range;
use std::process::ExitCode;

/// The fields of a status line, by name.
fn fields(target: &Line, status: &Status) -> Value {
    json!({
        "start": target.start,
        "sectors": target.sectors,
        "health": status.health,
        "used": status.used.to_string(),
        "retired": status.retired,
        "suspects": status.suspects,
        "lost_blocks": status.lost_blocks,
        "read_errors": status.read_errors,
        "write_errors": status.write_errors,
        "mode": status.mode,
        "regions": status.regions.to_string(),
        "breaker": status.breaker,
        "cache": status.cache.to_string(),
        "memory": status.memory,
        "scan": status.scan,
        "scan_position": status.scan_position.to_string(),
    })
}

/// The fields of a status line, for people.
fn sentence(device: &str, status: &Status) -> String {
    format!(
        "{device}: {}, {} spare units used, {} retired, {} suspects, {} lost blocks, \
         {} read and {} write errors, {}, {} copies of the metadata good, breaker {}, memory {}, \
         scan {} at {}",
        status.health,
        status.used,
        status.retired,
        status.suspects,
        status.lost_blocks,
        status.read_errors,
        status.write_errors,
        status.mode,
        status.regions,
        status.breaker,
        status.memory,
        status.scan,
        status.scan_position
    )
}

/// Shows the targets of one device.
fn show(say: &Say, mapper: &Mapper, device: &str) -> Result<()> {
    let (mut all, mut text) = (Vec::new(), Vec::new());
    for target in mapper.targets(device)? {
        let status: Status = target.words.parse()?;
        text.push(sentence(device, &status));
        all.push(fields(&target, &status));
    }
    let value = json!({ "name": device, "targets": all });
    say.both(&value, format_args!("{}", text.join("\n")));
    Ok(())
}

/// `remapctl status`
pub fn status(say: &Say, args: &cli::MaybeName) -> Result<ExitCode> {
    let mapper = Mapper::new()?;
    if let Some(device) = &args.name {
        show(say, &mapper, device)?;
        return Ok(ExitCode::SUCCESS);
    }
    for device in mapper.names()? {
        if mapper.targets(&device).is_ok() {
            show(say, &mapper, &device)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `remapctl list`
pub fn list(say: &Say, args: &cli::Name) -> Result<ExitCode> {
    let mapper = Mapper::new()?;
    for target in mapper.targets(&args.name)? {
        let ask = |text: &str| mapper.message(&args.name, target.start, text);
        for unit in relocations(target.start, ask)? {
            say.both(
                &json!({
                    "sector": unit.sector,
                    "spare_sector": unit.spare_sector,
                    "valid_blocks": unit.valid_blocks,
                    "blocks": unit.blocks,
                }),
                format_args!(
                    "sector {} is at {} of the spare, {} of {} blocks valid",
                    unit.sector, unit.spare_sector, unit.valid_blocks, unit.blocks
                ),
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The part of a range that lies in a target, as the mapped device counts.
fn within(range: &Range<u64>, target: &Line) -> Option<Range<u64>> {
    let start = range.start.max(target.start);
    let end = range.end.min(target.start + target.sectors);
    (start < end).then_some(start..end)
}

/// `remapctl import`
pub fn import(say: &Say, args: &cli::Import) -> Result<ExitCode> {
    let text = read_text(&args.file)?;
    let bad = match args.form {
        cli::ListForm::Badblocks => lists::from_badblocks(&text, args.block_size)?,
        cli::ListForm::Ddrescue => lists::from_ddrescue(&text)?,
    };
    let mapper = Mapper::new()?;
    let targets = mapper.targets(&args.name)?;
    let mut jobs = Vec::new();
    for range in &bad {
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
        if !args.dry_run {
            let text = format!(
                "remap {} {}{}",
                part.start,
                part.end - part.start,
                if args.lossy { " lossy" } else { "" }
            );
            match mapper.message(&args.name, target.start, &text) {
                Ok(_) => {}
                Err(error) if asks_for_lossy(&error) => stay.push((part, error)),
                Err(error) => return Err(error),
            }
        }
        say.progress("relocating", at as u64 + 1, jobs.len() as u64);
    }
    let word = if args.dry_run {
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
            "done": !args.dry_run && stay.is_empty(),
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

/// `remapctl watch`
pub fn watch(say: &Say, args: &cli::Watch) -> Result<ExitCode> {
    let mapper = Mapper::new()?;
    let mut left = args.count;
    let mut seen = None;
    loop {
        // Armed before it is asked, so that no event is missed in between.
        mapper.arm_poll()?;
        let event = mapper.info(&args.name)?.events;
        if seen.replace(event) == Some(event) {
            mapper.wait(None)?;
            continue;
        }
        show(say, &mapper, &args.name)?;
        if left == Some(0) {
            return Ok(ExitCode::SUCCESS);
        }
        left = left.map(|left| left - 1);
    }
}
