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
/// The injectors for allocations of the slab and of pages.
const INJECTORS: [&str; 2] = ["failslab", "fail_page_alloc"];

fn set(path: impl AsRef<Path>, value: &str) -> Result<()> {
    let path = path.as_ref();
    fs::write(path, value).with_context(|| path.display().to_string())
}

/// Configures failures of slab and page allocations. No other test runs in this guest.
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

/// Makes a percentage of the allocations of kernel workers fail.
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

/// Ends these failures, and returns the number of failed slab allocations.
pub fn let_workers_be() -> Result<u64> {
    fail_allocations(&[("probability", "0")])?;
    let left: u64 = fs::read_to_string(Path::new(DEBUG).join("failslab/times"))?
        .trim()
        .parse()?;
    Ok(1_000_000 - left)
}

/// Makes allocations of map nodes fail from now on.
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

/// Makes allocations of map nodes succeed again.
pub fn nodes_again() -> Result<()> {
    set(Path::new(DEBUG).join("failslab/probability"), "0")
}

/// Fails if memory was leaked.
///
/// kmemleak misses single objects with remaining stale pointers, so the result is meaningful only
/// after hundreds of cycles of the possible leak.
pub fn no_leak() -> Result<()> {
    let path = Path::new(DEBUG).join("kmemleak");
    set(&path, "scan")?;
    set(&path, "scan")?;
    let found = fs::read_to_string(&path)?;
    anyhow::ensure!(found.is_empty(), "memory leaked:\n{found}");
    Ok(())
}
