// SPDX-License-Identifier: GPL-2.0

//! How answers are given.

use serde_json::{
    json,
    Value, //
};
use std::fmt::Arguments;
use std::io::{
    IsTerminal,
    Write, //
};

/// Prints, and ends quietly when nobody reads any more.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if out
        .write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .is_err()
    {
        std::process::exit(0);
    }
}

/// How answers are given: to people or to programs.
#[derive(Clone, Copy)]
pub struct Say {
    /// As one JSON value a line.
    pub json: bool,
}

impl Say {
    /// Answers.
    pub fn both(&self, value: &Value, text: Arguments<'_>) {
        if self.json {
            print(&format!("{value}\n"));
        } else {
            print(&format!("{text}\n"));
        }
    }

    /// Says what went wrong.
    pub fn error(&self, error: &anyhow::Error) {
        if self.json {
            print(&format!("{}\n", json!({ "error": format!("{error:#}") })));
        }
        eprintln!("remapctl: {error:#}");
    }

    /// Says how far long work is, on a terminal.
    pub fn progress(&self, what: &str, done: u64, all: u64) {
        if !self.json && std::io::stderr().is_terminal() {
            let end = if done >= all { "\n" } else { "" };
            eprint!("\r{what}: {} %{end}", done * 100 / all.max(1));
        }
    }
}
