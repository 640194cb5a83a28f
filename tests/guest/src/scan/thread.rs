// SPDX-License-Identifier: GPL-2.0

//! The kernel thread of a scan.

use super::step_until;
use crate::kit::*;
use std::{
    fs,
    path::PathBuf, //
};

/// The thread of a scan.
pub(super) struct ScanThread(PathBuf);

impl ScanThread {
    /// The thread of the scan of this main.
    pub(super) fn of(main: &impl Block) -> Result<Self> {
        let name = format!("remap/{}", main.attribute("dev")?);
        for entry in fs::read_dir("/proc")? {
            let folder = entry?.path();
            // The process may have ended, and other entries have no name.
            let comm = fs::read_to_string(folder.join("comm")).unwrap_or_default();
            if comm.trim_end() == name {
                return Ok(Self(folder));
            }
        }
        bail!("no thread {name}")
    }

    /// The number of times that the thread has gone to sleep.
    fn sleeps(&self) -> Result<u64> {
        let status = fs::read_to_string(self.0.join("status"))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
            .context("the context switches of a thread")?;
        Ok(line.trim().parse()?)
    }

    /// Wakes the thread until it has checked several times for work.
    pub(super) fn until_it_has_looked_again(&self, r: &Remap) -> Result<()> {
        let before = self.sleeps()?;
        step_until(r, || Ok(self.sleeps()? >= before + 10))
    }
}
