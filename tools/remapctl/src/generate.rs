// SPDX-License-Identifier: GPL-2.0

//! Man pages and shell completions.

use crate::cli::Cli;
use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;
use std::path::Path;
use std::process::ExitCode;

/// The section of the manual for the administrator's commands.
const SECTION: &str = "8";

/// `remapctl generate`
pub fn generate(folder: &Path) -> Result<ExitCode> {
    std::fs::create_dir_all(folder)?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    man_pages(&command, folder)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "remapctl", folder)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The pages of a command and its subcommands.
fn man_pages(command: &clap::Command, folder: &Path) -> Result<()> {
    for subcommand in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        man_pages(subcommand, folder)?;
    }
    Man::new(command.clone())
        .section(SECTION)
        .generate_to(folder)?;
    Ok(())
}
