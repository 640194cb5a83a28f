// SPDX-License-Identifier: GPL-2.0

//! What a guest is like that no test has run in: the module and two disks. Another test may run in a
//! guest that a test left so.

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

/// Where it is kept what the guest was like.
const TRACES: &str = "/run/guest-traces";
/// Says that the guest cannot be made as new again.
const SPENT: &str = "/run/spent";
/// What udev keeps while it runs, and leaves behind.
const UDEV: &str = "/run/udev";
/// Folders whose entries a test could leave.
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

/// Makes the guest as tests expect it, and keeps what it is like.
pub fn begin() -> Result<()> {
    Disks::new()?;
    Ok(fs::write(TRACES, traces()?)?)
}

/// Keeps other tests from running in this guest.
pub fn spent() -> Result<()> {
    Ok(fs::write(SPENT, "")?)
}

/// Takes down what a test put up.
pub fn take_down() -> Result<()> {
    remove_all_mapped()?;
    if !module::is_loaded("dm_remap") {
        return Ok(());
    }
    // A scan ends soon after its device.
    until(|| Ok(fs::read_to_string("/sys/module/dm_remap/refcnt")?.trim() == "0"))
}

/// Makes the guest as new; whether it is.
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
        eprintln!("the guest is not as it was; before:\n{before}\nnow:\n{now}");
    }
    Ok(now == before)
}

/// Ends all processes but those that this one stands under.
fn end_processes() -> Result<()> {
    let ancestors = ancestors()?;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let line = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        // The kernel's own have none.
        if line.is_empty() || ancestors.contains(&number) {
            continue;
        }
        if let Some(pid) = Pid::from_raw(number) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    Ok(())
}

/// This process, its parent, and so on.
fn ancestors() -> Result<Vec<i32>> {
    let mut all = vec![std::process::id() as i32];
    loop {
        let last = all[all.len() - 1];
        let status = fs::read_to_string(format!("/proc/{last}/status"))?;
        let parent = status
            .lines()
            .find_map(|line| line.strip_prefix("PPid:"))
            .context("a process has a parent")?
            .trim()
            .parse()?;
        if parent == 0 {
            return Ok(all);
        }
        all.push(parent);
    }
}

/// Removes what is in a folder but for some entries.
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

/// What a test could leave.
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
