// SPDX-License-Identifier: GPL-2.0

//! `remapctl`, and udev, for which it waits.

use super::{
    command::{
        ended,
        run,
        Ended, //
    },
    mapped::remove_all_mapped,
    wait::until, //
};
use anyhow::{
    ensure,
    Context,
    Result, //
};
use serde_json::Value;
use std::env;

/// Starts udev: the library of `remapctl` waits for it when a device comes or goes, and so does
/// `dmsetup`.
pub fn start_udev() -> Result<()> {
    env::remove_var("DM_DISABLE_UDEV");
    // It goes on as a daemon when it hears of devices.
    run("/lib/systemd/systemd-udevd", &["--daemon"]).map(drop)
}

/// Takes down what stands on the disks, while udev is there that others wait for.
pub fn finish() -> Result<()> {
    until(|| Ok(remove_all_mapped().is_ok()))
}

/// Removes a device as soon as udev, which looks at each that was written, has let go of it.
pub fn once_udev_lets_go(mut remove: impl FnMut() -> Result<()>) -> Result<()> {
    until(|| match remove() {
        Err(error) if format!("{error:?}").contains("busy") => Ok(false),
        done => done.map(|()| true),
    })
}

/// How it ended with these words.
pub fn ctl_ended(words: &str) -> Result<Ended> {
    let words: Vec<_> = words.split(' ').collect();
    ended("remapctl", &words)
}

/// What `remapctl` prints, which must end well.
pub fn ctl(words: &str) -> Result<String> {
    let printed = ctl_ended(words)?
        .well()
        .with_context(|| format!("remapctl {words}"))?;
    Ok(printed.trim_end().to_string())
}

/// What it answers to programs.
pub fn ctl_json(words: &str) -> Result<Value> {
    let printed = ctl(&format!("--json {words}"))?;
    serde_json::from_str(&printed).context(printed)
}

/// Fails unless it refuses for that reason; what it printed.
pub fn ctl_refuses(reason: &str, words: &str) -> Result<String> {
    let Ended { status, printed } = ctl_ended(words)?;
    ensure!(status != Some(0), "not refused: {words}\n{printed}");
    ensure!(printed.contains(reason), "no '{reason}' in: {printed}");
    Ok(printed)
}

/// `remapctl` is killed when it waits for the disks for that time.
pub fn ctl_stopped(number: u32, words: &str) -> Result<()> {
    let is_killed = ctl_killed("fdatasync", number, words)?;
    ensure!(is_killed, "not stopped: {words}");
    Ok(())
}

/// `remapctl` is killed at the start of one of these system calls, which is that number; whether
/// there was one.
pub fn ctl_killed(calls: &str, number: u32, words: &str) -> Result<bool> {
    let trace = format!("trace={calls}");
    let inject = format!("inject={calls}:signal=KILL:when={number}");
    let mut all = vec!["-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    all.push("remapctl");
    all.extend(words.split(' '));
    let Ended { status, printed } = ended("strace", &all)?;
    ensure!(
        status == Some(0) || status.is_none_or(|it| it > 128),
        "{status:?}: {printed}"
    );
    Ok(status != Some(0))
}
