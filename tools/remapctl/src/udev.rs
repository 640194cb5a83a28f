// SPDX-License-Identifier: GPL-2.0

//! udev, where it runs.

use remap_active::mapper::udev_runs;
use std::process::Command;

/// Waits until udev has looked at all that it was told of; at once where it does not run.
///
/// What it has not looked at by its own limit of time is only found later.
pub fn settle() {
    if udev_runs() {
        let _ = Command::new("udevadm").arg("settle").status();
    }
}
