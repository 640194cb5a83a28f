// SPDX-License-Identifier: GPL-2.0

//! Mapped devices, controlled by `dmsetup`.

use super::{
    block::Block,
    command::run,
    wait::until, //
};
use anyhow::{
    bail,
    Context,
    Result, //
};
use remap_active::table;
use std::{
    fs,
    path::{
        Path,
        PathBuf, //
    },
};

/// Runs `dmsetup`, and returns its output.
///
/// An error contains the description of the kernel's error, such as `Device or resource busy`.
pub fn dmsetup(words: &[&str]) -> Result<String> {
    run("dmsetup", words)
}

/// A mapped device. It remains when this value is dropped, and is removed after the test.
#[derive(Clone, Debug)]
pub struct Mapped {
    name: String,
    path: PathBuf,
}

impl Mapped {
    /// Creates a device with a table.
    pub fn create(name: &str, table: &str) -> Result<Self> {
        dmsetup(&["create", name, "--table", table])?;
        Self::at(name)
    }

    /// Creates a read-only device.
    pub fn create_read_only(name: &str, table: &str) -> Result<Self> {
        dmsetup(&["create", name, "--readonly", "--table", table])?;
        Self::at(name)
    }

    /// Creates a device without a table. Its node appears when a table is first resumed.
    pub fn without_table(name: &str) -> Result<Self> {
        dmsetup(&["create", name, "--notable"])?;
        Ok(Self::named(name))
    }

    /// An existing device.
    pub fn at(name: &str) -> Result<Self> {
        let device = Self::named(name);
        let path = &device.path;
        fs::symlink_metadata(path).with_context(|| path.display().to_string())?;
        Ok(device)
    }

    fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            path: Path::new("/dev/mapper").join(name),
        }
    }

    /// The name of the device.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Loads a table, which becomes live with the next resume.
    pub fn load(&self, table: &str) -> Result<()> {
        dmsetup(&["load", &self.name, "--table", table]).map(drop)
    }

    /// Loads a read-only table.
    pub fn load_read_only(&self, table: &str) -> Result<()> {
        dmsetup(&["load", &self.name, "--readonly", "--table", table]).map(drop)
    }

    /// Clears the loaded table.
    pub fn clear(&self) -> Result<()> {
        dmsetup(&["clear", &self.name]).map(drop)
    }

    /// Suspends the device after the I/O in flight has completed.
    pub fn suspend(&self) -> Result<()> {
        dmsetup(&["suspend", &self.name]).map(drop)
    }

    /// Suspends the device; the target requeues I/O instead of completing it.
    pub fn suspend_noflush(&self) -> Result<()> {
        dmsetup(&["suspend", "--noflush", "--nolockfs", &self.name]).map(drop)
    }

    /// Resumes the device.
    pub fn resume(&self) -> Result<()> {
        dmsetup(&["resume", &self.name]).map(drop)
    }

    /// Replaces the table.
    pub fn replace(&self, table: &str) -> Result<()> {
        self.load(table)?;
        self.suspend()?;
        self.resume()
    }

    /// Sends a message to the target at sector 0.
    pub fn message(&self, text: &str) -> Result<String> {
        let mut words = vec!["message", &self.name, "0"];
        words.extend(text.split(' '));
        dmsetup(&words)
    }

    /// The live table, as `dmsetup table` prints it.
    pub fn table(&self) -> Result<String> {
        Ok(dmsetup(&["table", &self.name])?.trim_end().to_string())
    }

    /// The status of the only target, without start, length and type.
    pub fn status_words(&self) -> Result<String> {
        match &mut table::parse(&dmsetup(&["status", &self.name])?)?[..] {
            [line] => Ok(std::mem::take(&mut line.words)),
            lines => bail!("{} has {} targets", self.name, lines.len()),
        }
    }

    /// The number of events so far.
    pub fn events(&self) -> Result<u32> {
        let words = [
            "info",
            "--columns",
            "--noheadings",
            "-o",
            "events",
            &self.name,
        ];
        Ok(dmsetup(&words)?.trim().parse()?)
    }

    /// Waits until more events have occurred.
    pub fn wait_for_event_after(&self, events: u32) -> Result<()> {
        until(|| Ok(self.events()? > events))
    }

    /// Removes the device.
    pub fn remove(self) -> Result<()> {
        dmsetup(&["remove", &self.name]).map(drop)
    }
}

impl Block for Mapped {
    fn path(&self) -> &Path {
        &self.path
    }
}

/// The names of all mapped devices.
pub fn mapped_names() -> Result<Vec<String>> {
    let listed = dmsetup(&["ls"])?;
    Ok(listed
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, _)| name.to_string())
        .collect())
}

/// Removes all mapped devices, each before the devices below it.
pub fn remove_all_mapped() -> Result<()> {
    loop {
        let names = mapped_names()?;
        let Some(first) = names.first() else {
            return Ok(());
        };
        let mut removed = false;
        for name in &names {
            let _ = dmsetup(&["resume", name]);
            removed |= dmsetup(&["remove", name]).is_ok();
        }
        if !removed {
            bail!(
                "{} devices cannot be removed, among them {first}",
                names.len()
            );
        }
    }
}
