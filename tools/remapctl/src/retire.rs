// SPDX-License-Identifier: GPL-2.0

//! `remapctl retire`: giving an array up.

mod back;
mod mark;
mod new_disk;
mod plan;
mod stage;
mod unreadable;

use crate::cli;
use crate::remaptab::Remaptab;
use crate::say::Say;
use anyhow::{
    bail,
    Result, //
};
use remap_active::mapper::Mapper;
use std::process::ExitCode;

/// `remapctl retire`
pub fn retire(say: &Say, args: &cli::Retire) -> Result<ExitCode> {
    if let Some(new) = &args.to {
        return new_disk::retire(say, args, new);
    }
    let table = Remaptab::read(&args.tab.tab)?;
    let to = table.named(&args.name).and_then(|entry| entry.to.as_ref());
    // An attempt that was stopped early leaves an array as any other.
    let is_active = || Mapper::new().is_ok_and(|mapper| mapper.targets(&args.name).is_ok());
    if let Some(to) = to.filter(|_| !is_active()) {
        bail!(
            "the data of '{}' move to {}: '--to' with that disk goes on",
            args.name,
            to.disk
        );
    }
    back::retire(say, args)
}
