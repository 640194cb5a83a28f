// SPDX-License-Identifier: GPL-2.0

//! Man pages and shell completions.

use crate::cli::Cli;
use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::Path;
use std::process::ExitCode;

/// `remapctl generate`
pub fn generate(folder: &Path) -> Result<ExitCode> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "remapctl", folder)?;
    }
    Ok(ExitCode::SUCCESS)
}
