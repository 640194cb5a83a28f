// SPDX-License-Identifier: GPL-2.0

//! Mapped devices, by the builtin `dm` of one shell: a process for each request takes long where the model runs.

use anyhow::{
    bail,
    Context,
    Result, //
};
use std::io::{
    BufRead,
    BufReader,
    Write, //
};
use std::process::{
    ChildStdin,
    ChildStdout,
    Command,
    Stdio, //
};

/// The library with the builtin.
const BUILTINS: &str = "/payload/builtins";

/// A shell that makes one request after the other.
pub struct Shell {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Shell {
    /// A new one, which ends when this is dropped.
    pub fn new() -> Result<Self> {
        let mut command = Command::new("bash");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().context("bash")?;
        let mut input = child.stdin.take().context("no input")?;
        writeln!(input, "enable -f {BUILTINS} dm")?;
        Ok(Self {
            input,
            output: BufReader::new(child.stdout.take().context("no output")?),
        })
    }

    /// What a request printed, unless it was refused.
    pub fn dm(&mut self, words: &str) -> Result<Option<String>> {
        writeln!(self.input, "dm {words}; echo \"status $?\"")?;
        let mut printed = String::new();
        loop {
            let mut line = String::new();
            if self.output.read_line(&mut line)? == 0 {
                bail!("the shell ended in dm {words}");
            }
            if let Some(status) = line.strip_prefix("status ") {
                return Ok((status.trim() == "0").then_some(printed));
            }
            printed += &line;
        }
    }

    /// What a request printed that must not be refused.
    pub fn must(&mut self, words: &str) -> Result<String> {
        self.dm(words)?.with_context(|| format!("dm {words}"))
    }

    /// A device's table, each line as a word for `create` and `load`.
    pub fn table(&mut self, name: &str) -> Result<String> {
        let table = self.must(&format!("table {name}"))?;
        let words: Vec<_> = table.lines().map(|line| format!("'{line}'")).collect();
        Ok(words.join(" "))
    }
}
