// SPDX-License-Identifier: GPL-2.0

//! Programs that tests run: fio, file systems, `remapctl`.

use anyhow::{
    bail,
    Context,
    Result, //
};
use std::{
    fs::File,
    process::{
        Child,
        Command,
        Stdio, //
    },
    sync::atomic::{
        AtomicU32,
        Ordering, //
    },
};

/// The result of a program.
#[derive(Debug)]
pub struct Ended {
    /// The exit status, or `None` after a signal.
    pub status: Option<i32>,
    /// Standard output and standard error.
    pub printed: String,
}

impl Ended {
    /// The output, if the program succeeded.
    pub fn well(self) -> Result<String> {
        match self.status {
            Some(0) => Ok(self.printed),
            status => bail!("exit status {status:?}:\n{}", self.printed),
        }
    }
}

/// A program that runs beside the test. Dropping this value ends the program.
pub struct Running {
    child: Child,
    printed: String,
}

/// Starts a program.
pub fn start(program: &str, words: &[&str]) -> Result<Running> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let printed = format!("/tmp/printed{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let output = File::create(&printed)?;
    let child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| program.to_string())?;
    Ok(Running { child, printed })
}

impl Running {
    /// Waits for the end of the program.
    pub fn end(mut self) -> Result<Ended> {
        let status = self.child.wait()?.code();
        Ok(Ended {
            status,
            printed: self.printed()?,
        })
    }

    /// The output so far.
    pub fn printed(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(&self.printed)?).into_owned())
    }

    /// Whether the program has ended.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Kills the program.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The program may have ended already.
        let _ = self.child.kill();
        // The output of thousands of programs would fill the guest's memory.
        let _ = std::fs::remove_file(&self.printed);
    }
}

/// Runs a program, and returns its result.
pub fn ended(program: &str, words: &[&str]) -> Result<Ended> {
    start(program, words)?.end()
}

/// Runs a program that must succeed, and returns its output.
pub fn run(program: &str, words: &[&str]) -> Result<String> {
    ended(program, words)?
        .well()
        .with_context(|| format!("{program} {}", words.join(" ")))
}
