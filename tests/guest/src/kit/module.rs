// SPDX-License-Identifier: GPL-2.0

//! Kernel modules.

use anyhow::{
    Context,
    Result, //
};
use rustix::system::{
    delete_module,
    finit_module, //
};
use std::{
    env,
    ffi::CString,
    fs::{
        self,
        File, //
    },
    path::{
        Path,
        PathBuf, //
    },
};

/// The file of a module.
pub fn file(name: &str) -> Result<PathBuf> {
    let folder = env::var("MODULES").context("MODULES must name the directory of the modules")?;
    Ok(Path::new(&folder).join(format!("{name}.ko")))
}

/// Loads a module with parameters, as `insmod` does.
pub fn load(name: &str, parameters: &str) -> Result<()> {
    let path = file(name)?;
    let opened = File::open(&path).with_context(|| path.display().to_string())?;
    finit_module(opened, &CString::new(parameters)?, 0).with_context(|| format!("loading {name}"))
}

/// Unloads a module.
pub fn unload(name: &str) -> Result<()> {
    // `O_NONBLOCK`: the call does not wait for a module in use.
    const NONBLOCK: i32 = 0o4000;
    delete_module(&CString::new(name)?, NONBLOCK).with_context(|| format!("unloading {name}"))
}

/// Whether a module is loaded.
pub fn is_loaded(name: &str) -> bool {
    Path::new("/sys/module").join(name).exists()
}

/// Loads the module under test, if it is not loaded.
pub fn load_ours() -> Result<()> {
    if is_loaded("dm_remap") {
        return Ok(());
    }
    load("dm_remap", "")
}

/// Unloads all modules, the most recent first.
pub fn unload_all() -> Result<()> {
    let loaded = fs::read_to_string("/proc/modules")?;
    for line in loaded.lines() {
        unload(line.split(' ').next().unwrap_or_default())?;
    }
    Ok(())
}
