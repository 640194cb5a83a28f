// SPDX-License-Identifier: GPL-2.0

//! Allocations that fail (`Documentation/fault-injection` of the kernel).

use super::fresh::spent;
use anyhow::{
    Context,
    Result, //
};
use std::{
    fs,
    path::Path, //
};

const DEBUG: &str = "/sys/kernel/debug";
/// What fails allocations of the slab and of pages.
const INJECTORS: [&str; 2] = ["failslab", "fail_page_alloc"];

fn set(path: impl AsRef<Path>, value: &str) -> Result<()> {
    let path = path.as_ref();
    fs::write(path, value).with_context(|| path.display().to_string())
}

/// Sets how allocations of the slab and of pages are made to fail. No other test runs in this guest.
pub fn fail_allocations(settings: &[(&str, &str)]) -> Result<()> {
    spent()?;
    for injector in INJECTORS {
        let folder = Path::new(DEBUG).join(injector);
        for (name, value) in [("verbose", "0"), ("ignore-gfp-wait", "N")]
            .iter()
            .chain(settings)
        {
            set(folder.join(name), value)?;
        }
    }
    set(Path::new(DEBUG).join("fail_page_alloc/min-order"), "0")
}

/// So many of a hundred allocations of the kernel's workers fail.
pub fn fail_workers(percent: u32) -> Result<()> {
    let percent = percent.to_string();
    fail_allocations(&[
        ("task-filter", "Y"),
        ("times", "1000000"),
        ("probability", &percent),
    ])?;
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
        if name.starts_with("kworker/") {
            set(path.join("make-it-fail"), "1")?;
        }
    }
    Ok(())
}

/// Ends that, and returns how many allocations of the slab failed.
pub fn let_workers_be() -> Result<u64> {
    fail_allocations(&[("probability", "0")])?;
    let left: u64 = fs::read_to_string(Path::new(DEBUG).join("failslab/times"))?
        .trim()
        .parse()?;
    Ok(1_000_000 - left)
}

/// From now on there is no memory for nodes of maps.
pub fn no_nodes() -> Result<()> {
    spent()?;
    set("/sys/kernel/slab/dm_remap_node/failslab", "1")?;
    for (name, value) in [
        ("cache-filter", "Y"),
        ("ignore-gfp-wait", "N"),
        ("probability", "100"),
        ("interval", "1"),
        ("times", "-1"),
        ("verbose", "0"),
    ] {
        set(Path::new(DEBUG).join("failslab").join(name), value)?;
    }
    Ok(())
}

/// There is memory for them again.
pub fn nodes_again() -> Result<()> {
    set(Path::new(DEBUG).join("failslab/probability"), "0")
}

/// Fails if memory was leaked.
///
/// kmemleak overlooks single objects, to which stale pointers are left, so this says something only
/// after hundreds of cycles of what might leak.
pub fn no_leak() -> Result<()> {
    let path = Path::new(DEBUG).join("kmemleak");
    set(&path, "scan")?;
    set(&path, "scan")?;
    let found = fs::read_to_string(&path)?;
    anyhow::ensure!(found.is_empty(), "memory leaked:\n{found}");
    Ok(())
}
