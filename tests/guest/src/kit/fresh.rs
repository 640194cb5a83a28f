// SPDX-License-Identifier: GPL-2.0

//! The state of a guest in which no test has run: the module and two disks. A guest that a test
//! left in this state runs another test.

use super::{
    mapped::remove_all_mapped,
    module,
    null_disk,
    wait::until,
    Disks, //
};
use anyhow::{
    Context,
    Result, //
};
use rustix::process::{
    kill_process,
    Pid,
    Signal, //
};
use std::{
    fs,
    io,
    path::Path, //
};

/// The saved traces of the fresh guest.
const TRACES: &str = "/run/guest-traces";
/// This file marks a guest that cannot become fresh again.
const SPENT: &str = "/run/spent";
/// The state of udev, which remains when udev ends.
const UDEV: &str = "/run/udev";
/// Directories in which a test may leave entries.
const FOLDERS: [&str; 8] = [
    "/sys/module",
    "/sys/block",
    "/sys/kernel/config/nullb",
    "/dev",
    "/dev/mapper",
    "/mnt",
    "/tmp",
    "/root",
];

/// Prepares the guest for tests, and saves its traces.
pub fn begin() -> Result<()> {
    Disks::new()?;
    Ok(fs::write(TRACES, traces()?)?)
}

/// Excludes other tests from this guest.
pub fn spent() -> Result<()> {
    Ok(fs::write(SPENT, "")?)
}

/// Removes the mapped devices of a test, and waits until the module is idle.
pub fn take_down() -> Result<()> {
    remove_all_mapped()?;
    if !module::is_loaded("dm_remap") {
        return Ok(());
    }
    // The thread of a scan exits shortly after its device is removed.
    until(|| Ok(fs::read_to_string("/sys/module/dm_remap/refcnt")?.trim() == "0"))
}

/// Makes the guest fresh again; whether that succeeded.
pub fn is_as_new() -> Result<bool> {
    let Ok(before) = fs::read_to_string(TRACES) else {
        return Ok(false);
    };
    end_processes()?;
    module::unload_all()?;
    null_disk::remove_all()?;
    empty("/dev/mapper", &["control"])?;
    for folder in ["/dev/disk", "/dev/block"] {
        if Path::new(folder).exists() {
            fs::remove_dir_all(folder)?;
        }
    }
    // Who finds it takes udev to be running.
    if Path::new(UDEV).exists() {
        fs::remove_dir_all(UDEV)?;
    }
    empty("/tmp", &[])?;
    empty("/root", &[])?;
    Disks::new()?;
    let now = traces()?;
    if now != before {
        eprintln!("the guest has changed; before:\n{before}\nnow:\n{now}");
    }
    Ok(now == before)
}

/// Kills all processes except the ancestors of this process.
fn end_processes() -> Result<()> {
    let ancestors = ancestors()?;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let line = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        // Kernel threads have no command line.
        if line.is_empty() || ancestors.contains(&number) {
            continue;
        }
        if let Some(pid) = Pid::from_raw(number) {
            // The process may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    Ok(())
}

/// This process and its ancestors.
fn ancestors() -> Result<Vec<i32>> {
    let mut all = vec![std::process::id() as i32];
    loop {
        let last = all[all.len() - 1];
        let status = fs::read_to_string(format!("/proc/{last}/status"))?;
        let parent = status
            .lines()
            .find_map(|line| line.strip_prefix("PPid:"))
            .context("the parent of a process")?
            .trim()
            .parse()?;
        if parent == 0 {
            return Ok(all);
        }
        all.push(parent);
    }
}

/// Removes the entries of a directory, with exceptions.
fn empty(folder: &str, but: &[&str]) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if but.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let path = entry.path();
        let removed = match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
        removed.with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// The traces that a test may leave.
fn traces() -> Result<String> {
    let mut text = fs::read_to_string("/proc/mounts")?;
    text += &fs::read_to_string("/proc/swaps")?;
    for folder in FOLDERS {
        let mut names: Vec<_> = fs::read_dir(folder)?
            .map(|entry| entry.map(|entry| entry.path().display().to_string()))
            .collect::<io::Result<_>>()?;
        names.sort();
        text += &format!("{folder}: {}\n", names.join(" "));
    }
    text += &format!("spent: {}\n", Path::new(SPENT).exists());
    Ok(text)
}
