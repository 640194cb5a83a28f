// SPDX-License-Identifier: GPL-2.0

//! Work on a CPU that the test chooses.

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

/// Does something on that CPU alone, and so do the programs that it starts.
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

/// The CPUs that are there and work.
pub fn working_cpus() -> Vec<usize> {
    // One that cannot be stopped has no such file.
    let works =
        |cpu: &usize| fs::read_to_string(folder(*cpu).join("online")).ok() != Some("0\n".into());
    (0..)
        .take_while(|cpu| folder(*cpu).exists())
        .filter(works)
        .collect()
}

/// Stops a CPU, or starts it again.
pub fn set_working(cpu: usize, works: bool) -> Result<()> {
    let path = folder(cpu).join("online");
    fs::write(&path, u8::from(works).to_string()).with_context(|| path.display().to_string())
}
