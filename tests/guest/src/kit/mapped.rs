// SPDX-License-Identifier: GPL-2.0

//! Mapped devices, by `dmsetup`.

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

/// Runs `dmsetup`, and returns what it printed.
///
/// An error has what the kernel's error is called, such as `Device or resource busy`.
pub fn dmsetup(words: &[&str]) -> Result<String> {
    run("dmsetup", words)
}

/// A device of device-mapper. It stays when this is dropped; behind the test it is removed.
#[derive(Clone, Debug)]
pub struct Mapped {
    name: String,
    path: PathBuf,
}

impl Mapped {
    /// Makes a device with that table.
    pub fn create(name: &str, table: &str) -> Result<Self> {
        dmsetup(&["create", name, "--table", table])?;
        Self::at(name)
    }

    /// Makes a device that can only be read.
    pub fn create_read_only(name: &str, table: &str) -> Result<Self> {
        dmsetup(&["create", name, "--readonly", "--table", table])?;
        Self::at(name)
    }

    /// Makes a device without a table. Its node comes with the first that is resumed.
    pub fn without_table(name: &str) -> Result<Self> {
        dmsetup(&["create", name, "--notable"])?;
        Ok(Self::named(name))
    }

    /// A device that is there already.
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

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Loads a table, which the next resume makes live.
    pub fn load(&self, table: &str) -> Result<()> {
        dmsetup(&["load", &self.name, "--table", table]).map(drop)
    }

    /// Loads a table for reading only.
    pub fn load_read_only(&self, table: &str) -> Result<()> {
        dmsetup(&["load", &self.name, "--readonly", "--table", table]).map(drop)
    }

    /// Takes back a table that was loaded.
    pub fn clear(&self) -> Result<()> {
        dmsetup(&["clear", &self.name]).map(drop)
    }

    /// Suspends it, when what is under way has ended.
    pub fn suspend(&self) -> Result<()> {
        dmsetup(&["suspend", &self.name]).map(drop)
    }

    /// Suspends it, and has the target hold requests back.
    pub fn suspend_noflush(&self) -> Result<()> {
        dmsetup(&["suspend", "--noflush", "--nolockfs", &self.name]).map(drop)
    }

    /// Resumes it.
    pub fn resume(&self) -> Result<()> {
        dmsetup(&["resume", &self.name]).map(drop)
    }

    /// Gives it another table.
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

    /// The words of the status of its only target.
    pub fn status_words(&self) -> Result<String> {
        match &mut table::parse(&dmsetup(&["status", &self.name])?)?[..] {
            [line] => Ok(std::mem::take(&mut line.words)),
            lines => bail!("{} has {} targets", self.name, lines.len()),
        }
    }

    /// How many events there were.
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

    /// Waits until there were more events than that.
    pub fn wait_for_event_after(&self, events: u32) -> Result<()> {
        until(|| Ok(self.events()? > events))
    }

    /// Removes it.
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

/// Removes all mapped devices, each before those that it stands on.
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
