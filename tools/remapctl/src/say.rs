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

/// A length in sectors, for people.
pub fn size(sectors: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut tenths, mut unit) = (u128::from(sectors) * 5, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
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

    /// Tells people what is done, beside the answer.
    pub fn note(&self, text: &str) {
        if !self.json {
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

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn lengths_are_in_the_largest_unit_that_fits() {
        for (sectors, want) in [
            (0, "0.0 KiB"),
            (1, "0.5 KiB"),
            (131_072, "64.0 MiB"),
            (7_814_037_168, "3.6 TiB"),
            (u64::MAX, "8191.9 EiB"),
        ] {
            assert_eq!(size(sectors), want);
        }
    }
}
