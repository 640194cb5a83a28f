// SPDX-License-Identifier: GPL-2.0

//! Passes start, pause, stop, resume at the saved position, and repeat.

use super::{
    dump,
    line,
    position,
    small,
    step_until,
    thread::ScanThread,
    until_begun,
    BATCH,
    SMALL, //
};
use crate::kit::*;
use remap_active::answer::Answer;
use serde_json::json;
use std::fs;

crate::tests![
    numbers_as_large_as_there_are,
    it_waits_goes_on_and_ends,
    it_goes_on_where_it_was,
    it_begins_by_itself_again_and_again,
    a_pass_that_takes_too_long(waits: true),
];

/// Sets all numbers of an inactive array to their maximum, including those of unknown counters.
fn make_numbers_large() -> Result<()> {
    let mut dump = dump()?;
    dump["cursor"] = json!(u64::MAX);
    let counters = dump["counters"].as_object_mut().context("counters")?;
    for (_, value) in counters.iter_mut() {
        *value = json!(u64::MAX);
    }
    for number in 9..=15 {
        counters.insert(format!("counter_{number}"), json!(u64::MAX));
    }
    fs::write("larger", serde_json::to_string(&dump)?)?;
    let array = dump["array"].as_str().context("the array's UUID")?;
    let words = format!("restore /dev/main /dev/spare larger --force {array}");
    run("remapctl", &words.split(' ').collect::<Vec<_>>())?;
    Ok(())
}

/// Numbers in the metadata may have any value.
fn numbers_as_large_as_there_are() -> Result<()> {
    let a = small()?;
    a.r.remove()?;
    make_numbers_large()?;
    let r = Remap::create(SMALL)?;
    assert_eq!(r.count("scan_passes")?, u64::MAX);
    a.main.bad(800..=800)?;
    r.scan()?;
    assert_eq!(r.suspects()?, [800]);
    assert_eq!(r.ask("scan")?.number("pass")?, u64::MAX);
    assert_eq!(r.count("scan_passes")?, u64::MAX);
    r.wipe(800, UNIT)?;
    assert_eq!(r.used()?, "1/1536");
    r.message("stats")?;
    r.message("stats reset")?;
    r.suspend()?;
    r.resume()?;
    r.scan()?;
    r.remove()?;
    let r = Remap::create(SMALL)?;
    assert_eq!(r.count("scan_passes")?, u64::MAX);
    Ok(())
}

fn it_waits_goes_on_and_ends() -> Result<()> {
    let a = small()?;
    a.r.message("scan rate 1")?;
    a.r.message("scan start")?;
    assert_eq!(line(&a.r, "state")?, "running");
    ScanThread::of(&a.main)?;
    until_begun(&a.r)?;
    a.r.message("scan pause")?;
    assert_eq!(line(&a.r, "state")?, "paused");
    a.r.message("scan start")?;
    assert_eq!(line(&a.r, "state")?, "running");
    assert_eq!(line(&a.r, "pass")?, "1");
    a.r.message("scan stop")?;
    a.r.until_scan_is("stopped")?;
    assert_eq!(a.r.message("scan stop")?.trim_end(), "there was no scan");
    a.r.scan()?;
    assert_eq!(line(&a.r, "pass")?, "1", "the pass that was interrupted");
    // The number of passes is saved.
    a.r.remove()?;
    let r = Remap::create(SMALL)?;
    r.scan()?;
    assert_eq!(line(&r, "pass")?, "2");
    assert_eq!(r.count("scan_passes")?, 2);
    r.suspend()?;
    refused("the device is suspended", || r.message("scan start"))?;
    r.resume()
}

fn it_goes_on_where_it_was() -> Result<()> {
    let slowly = format!("{SMALL} 2 scan_rate 1");
    let a = Array::with(16, 8, "2 scan_rate 1")?;
    step_until(&a.r, || Ok(position(&a.r)? > 2 * BATCH))?;
    let before = position(&a.r)?;
    a.r.remove()?;
    let kept = dump()?["cursor"].as_u64().context("the cursor")?;
    ensure!(
        kept >= before,
        "saved position {kept}, expected at least {before}"
    );
    let r = Remap::create(&slowly)?;
    assert_eq!(r.message("scan pause")?.trim_end(), "there was no scan");
    r.message("scan start")?;
    until_begun(&r)?;
    // A thread that starts after its command reads two batches.
    let now = position(&r)?;
    ensure!(
        now == kept + BATCH || now == kept + 2 * BATCH,
        "at {now}, it was at {kept}"
    );
    // Another table of the same device continues the pass.
    r.replace(&format!("{SMALL} 2 scan_rate 1000000"))?;
    r.until_scan_is("stopped")?;
    assert_eq!(line(&r, "pass")?, "1");
    Ok(())
}

fn it_begins_by_itself_again_and_again() -> Result<()> {
    const FEATURES: &str = "6 scan_interval 1 scan_rate 1000000 proactive on";
    let a = Array::with(16, 8, FEATURES)?;
    until(|| Ok(a.r.ask("scan")?.number("pass")? >= 3))?;
    assert_eq!(a.r.features()?, FEATURES);
    a.r.wait_for_event_after(a.r.events()?)?;
    // A stopped scan starts by itself only with the next resume.
    a.r.message("scan stop")?;
    a.r.until_scan_is("stopped")?;
    a.r.suspend()?;
    a.r.resume()?;
    a.r.until_scan_is("waiting")?;
    a.r.message("scan stop")?;
    a.r.until_scan_is("stopped")?;
    // A loaded table that does not become live changes nothing.
    a.r.load(&format!("{SMALL} 2 scan_interval 2"))?;
    a.r.clear()?;
    until_another_has_begun_by_itself()?;
    assert_eq!(a.r.status()?.scan, "stopped");
    assert_eq!(line(&a.r, "interval")?, "1");
    Ok(())
}

/// Waits until the scan of another device has started by itself; that of `r` would have started
/// before.
fn until_another_has_begun_by_itself() -> Result<()> {
    NullDisk::new("main2", 4)?;
    NullDisk::new("spare2", 4)?;
    let table = "0 8192 remap /dev/main2 0 /dev/spare2 0 8192 2 scan_interval 1000";
    let other = Mapped::create("other", table)?;
    until(|| Ok(other.message("scan")?.contains("\npass 1\n")))?;
    other.remove()
}

fn a_pass_that_takes_too_long() -> Result<()> {
    let mut log = KernelLog::now()?;
    // The scan reads one batch now, and the next in an hour.
    let a = Array::with(16, 8, "4 scan_interval 1 scan_rate 1")?;
    // The scan is called late as soon as the delay is foreseen, and is late after two seconds.
    let is_late = |answer: Answer| {
        let seconds = answer.find("seconds").unwrap_or_default();
        let age = seconds.split(' ').next().and_then(|age| age.parse().ok());
        seconds.ends_with(" late") && age.is_some_and(|age: u64| age >= 2)
    };
    until(|| Ok(is_late(a.r.ask("scan")?)))?;
    a.r.message("scan rate 1000000")?;
    until(|| Ok(a.r.ask("scan")?.number("pass")? >= 2))?;
    log.must_have("the scan took longer than its interval of 1 seconds")
}
