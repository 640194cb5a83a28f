// SPDX-License-Identifier: GPL-2.0

//! A disk of scsi_debug, which reports faults by sense codes.

use super::{
    block::Block,
    module,
    wait::until, //
};
use anyhow::{
    Context,
    Result, //
};
use std::{
    fs,
    path::{
        Path,
        PathBuf, //
    },
};

/// READ (10), as the file `error` of scsi_debug names commands.
pub const READ: &str = "0x28";
/// WRITE (10).
pub const WRITE: &str = "0x2a";

/// A disk of scsi_debug, of 64 MiB.
#[derive(Clone, Debug)]
pub struct ScsiDebug {
    path: PathBuf,
    errors: PathBuf,
}

impl ScsiDebug {
    /// Loads the module, with parameters such as `medium_error_start=81`.
    pub fn new(parameters: &str) -> Result<Self> {
        module::load("crc-t10dif", "")?;
        module::load(
            "scsi_debug",
            &format!("dev_size_mb=64 delay=0 {parameters}"),
        )?;
        until(|| Ok(!found()?.is_empty()))?;
        let name = found()?.pop().context("a disk of scsi_debug")?;
        let host = fs::read_dir("/sys/class/scsi_device")?
            .next()
            .context("a SCSI device")??
            .file_name();
        Ok(Self {
            path: Path::new("/dev").join(name),
            errors: Path::new("/sys/kernel/debug/scsi_debug")
                .join(host)
                .join("error"),
        })
    }

    /// The disk by another path, which a second host has (`add_host=2`).
    pub fn other_path(&self) -> Result<PathBuf> {
        until(|| Ok(found()?.len() > 1))?;
        let mut paths = found()?
            .into_iter()
            .map(|name| Path::new("/dev").join(name));
        paths
            .find(|path| *path != self.path)
            .context("another path")
    }

    /// Makes the given number of these commands fail, or all of them for `None`. The codes are the
    /// host byte, the driver byte, the status byte, the sense key, and its two qualifiers.
    pub fn fail(&self, command: &str, times: Option<u32>, codes: [u8; 6]) -> Result<()> {
        let times = times.map_or(1, |times| -i64::from(times));
        let codes: Vec<_> = codes.iter().map(|code| format!("{code:#x}")).collect();
        self.order(&format!("2 {times} {command} {}", codes.join(" ")))
    }

    /// Makes these commands work again.
    pub fn work(&self, command: &str) -> Result<()> {
        self.order(&format!("- 2 {command}"))
    }

    fn order(&self, text: &str) -> Result<()> {
        fs::write(&self.errors, text).with_context(|| format!("{text} to scsi_debug"))
    }
}

/// The names of the disks that the kernel has found.
fn found() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("/sys/block")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let device = Path::new("/sys/block").join(&name).join("device/model");
        let is_ours = fs::read_to_string(device).is_ok_and(|model| model.trim() == "scsi_debug");
        if is_ours && Path::new("/dev").join(&name).exists() {
            names.push(name);
        }
    }
    Ok(names)
}

impl Block for ScsiDebug {
    fn path(&self) -> &Path {
        &self.path
    }
}
