// SPDX-License-Identifier: GPL-2.0

//! Work on a chosen CPU.

use anyhow::{
    Context,
    Result, //
};
use rustix::thread::{
    sched_getaffinity,
    sched_setaffinity,
    CpuSet, //
};
use std::{
    fs,
    path::{
        Path,
        PathBuf, //
    },
};

/// Runs `work`, and the programs that it starts, on a single CPU.
pub fn on_cpu<T>(cpu: usize, work: impl FnOnce() -> T) -> Result<T> {
    let before = sched_getaffinity(None)?;
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).with_context(|| format!("on CPU {cpu}"))?;
    let done = work();
    sched_setaffinity(None, &before)?;
    Ok(done)
}

fn folder(cpu: usize) -> PathBuf {
    Path::new("/sys/devices/system/cpu").join(format!("cpu{cpu}"))
}

/// The CPUs that are online.
pub fn working_cpus() -> Vec<usize> {
    // A CPU that cannot go offline lacks this file.
    let works =
        |cpu: &usize| fs::read_to_string(folder(*cpu).join("online")).ok() != Some("0\n".into());
    (0..)
        .take_while(|cpu| folder(*cpu).exists())
        .filter(works)
        .collect()
}

/// Takes a CPU offline or online.
pub fn set_working(cpu: usize, works: bool) -> Result<()> {
    let path = folder(cpu).join("online");
    fs::write(&path, u8::from(works).to_string()).with_context(|| path.display().to_string())
}
