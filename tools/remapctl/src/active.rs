// SPDX-License-Identifier: GPL-2.0

//! What is done to active arrays: status, list, watch.

use crate::cli;
use crate::say::Say;
use anyhow::Result;
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
