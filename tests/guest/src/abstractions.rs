// SPDX-License-Identifier: GPL-2.0

//! The KUnit suites of the kernel abstractions in `rust/`.

use crate::kit::{
    module,
    *, //
};
use std::{
    fs,
    path::{
        Path,
        PathBuf, //
    },
};

crate::tests![suites, numa(cpus: 2, nodes: 2)];

/// The directory of the suites that the kernel can run.
const FOLDER: &str = "/sys/kernel/debug/kunit";
/// The filter for the suites of loaded modules.
const FILTER: &str = "/sys/module/kunit/parameters/filter_glob";

/// Loads the module with its suites. Without them it loads faster.
fn load_with_suites() -> Result<()> {
    module::unload_all()?;
    fs::write(FILTER, "*")?;
    module::load_ours()?;
    Ok(fs::write(FILTER, "none")?)
}

fn folder(suite: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("dm_remap_{suite}"))
}

/// Runs a suite. All of its tests must pass, and there must be at least one.
fn passes(suite: &str) -> Result<()> {
    let folder = folder(suite);
    fs::write(folder.join("run"), "1").with_context(|| format!("the suite {suite}"))?;
    let results = fs::read_to_string(folder.join("results"))?;
    let has = |begin: &str| results.lines().any(|line| line.starts_with(begin));
    let passed = has(&format!("ok 1 dm_remap_{suite}")) && has("    ok 1 ");
    ensure!(passed && !results.contains("not ok"), "{suite}:\n{results}");
    Ok(())
}

fn suites() -> Result<()> {
    const HERE: [&str; 12] = [
        "text",
        "per_cpu",
        "published",
        "slab",
        "unique",
        "kthread",
        "workqueue",
        "bio",
        "ratelimit",
        "crc32c",
        "random",
        "device_mapper",
    ];
    load_with_suites()?;
    for suite in HERE {
        passes(suite)?;
    }
    let mut all: Vec<_> = HERE
        .iter()
        .chain(&["numa"])
        .map(|name| folder(name))
        .collect();
    let mut there = fs::read_dir(FOLDER)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    there.retain(|path| path.to_string_lossy().contains("dm_remap_"));
    all.sort();
    there.sort();
    assert_eq!(there, all);
    Ok(())
}

fn numa() -> Result<()> {
    load_with_suites()?;
    passes("numa")
}
