// SPDX-License-Identifier: GPL-2.0

//! udev, where it runs.

use std::path::Path;
use std::process::Command;

/// What exists while udev runs.
const CONTROL: &str = "/run/udev/control";

/// Waits until udev has looked at all that it was told of; at once where it does not run.
///
/// What it has not looked at by its own limit of time is only found later.
pub fn settle() {
    if Path::new(CONTROL).exists() {
        let _ = Command::new("udevadm").arg("settle").status();
    }
}
