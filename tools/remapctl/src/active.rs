// SPDX-License-Identifier: GPL-2.0

//! What is done to active arrays: list, watch.

use crate::cli;
use crate::say::Say;
use crate::status::{
    sentence,
    Shown, //
};
use anyhow::Result;
use remap_active::{
    list::relocations,
    mapper::Mapper, //
};
use serde_json::json;
use std::process::ExitCode;

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
        let shown = Shown::of(&mapper, &args.name)?;
        let sentences = shown
            .targets
            .iter()
            .map(|target| sentence(&args.name, &target.status));
        let text = sentences.collect::<Vec<_>>().join("\n");
        say.both(&shown.value(), format_args!("{text}"));
        if left == Some(0) {
            return Ok(ExitCode::SUCCESS);
        }
        left = left.map(|left| left - 1);
    }
}
