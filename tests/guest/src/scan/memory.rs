// SPDX-License-Identifier: GPL-2.0

//! The scan without memory: it pauses or fails, and nothing else does.

use super::{
    line,
    small,
    thread::ScanThread, //
};
use crate::kit::{
    faults::{
        fail_allocations,
        no_nodes,
        nodes_again, //
    },
    *, //
};
use std::fs;

crate::tests![it_waits_while_memory_is_short, a_scan_that_fails,];

/// The scan waits, because its findings would use the reserve.
fn it_waits_while_memory_is_short() -> Result<()> {
    let a = small()?;
    a.main.bad(20000..=20000)?;
    no_nodes()?;
    a.r.relocate(0, 64)?;
    assert_eq!(a.r.status()?.memory, "short");
    a.r.message("scan rate 1000000")?;
    let before = a.main.counted()?.reads;
    a.r.message("scan start")?;
    ScanThread::of(&a.main)?.until_it_has_looked_again(&a.r)?;
    let status = a.r.status()?;
    assert_eq!(status.scan, "running");
    assert_eq!(status.scan_position.to_string(), "0/4096");
    assert_eq!(a.main.counted()?.reads, before);
    nodes_again()?;
    a.r.until_scan_is("stopped")?;
    assert_eq!(a.r.suspects()?, [20000]);
    Ok(())
}

/// Fails unless the scan has failed for lack of memory.
fn scan_has_failed(r: &Remap) -> Result<()> {
    assert_eq!(r.status()?.scan, "failed");
    assert_eq!(line(r, "error")?, "-12");
    Ok(())
}

/// Starts the scan and waits for its end; returns whether it started.
fn starts(r: &Remap) -> Result<bool> {
    let started = r.message("scan start").is_ok();
    until(|| Ok(["stopped", "failed"].contains(&r.status()?.scan.as_str())))?;
    Ok(started)
}

/// The thread cannot be started, or ends for lack of memory. Only the scan is affected.
fn a_scan_that_fails() -> Result<()> {
    let a = small()?;
    let image = random(MIB);
    a.r.write(0, &image)?;
    a.r.message("scan rate 1000000")?;
    fail_allocations(&[])?;
    let mut log = KernelLog::now()?;
    // Fails the next allocation of kthreadd, unless it serves another thread.
    until(|| {
        fs::write("/proc/2/fail-nth", "1")?;
        Ok(!starts(&a.r)?)
    })?;
    log.must_have("the scan cannot be started: error -12")?;
    scan_has_failed(&a.r)?;
    a.r.holds(&image)?;
    fail_later(&a.r)?;
    scan_has_failed(&a.r)?;
    a.r.write(0, &image)?;
    a.r.holds(&image)?;
    // The scan can be started again.
    a.r.scan()?;
    assert_eq!(a.r.status()?.scan, "stopped");
    Ok(())
}

/// Lets the thread start and allocate a number of bytes, until one of its allocations fails:
/// another thread may meet the failure.
fn fail_later(r: &Remap) -> Result<()> {
    for bytes in (8192..=65536).step_by(256).cycle() {
        fail_allocations(&[
            ("task-filter", "Y"),
            ("times", "1"),
            ("probability", "100"),
            ("space", &bytes.to_string()),
        ])?;
        fs::write("/proc/2/make-it-fail", "1")?;
        if starts(r)? && r.status()?.scan == "failed" {
            break;
        }
    }
    fs::write("/proc/2/make-it-fail", "0")?;
    fail_allocations(&[("probability", "0"), ("space", "0")])
}
