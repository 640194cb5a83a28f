// SPDX-License-Identifier: GPL-2.0

//! The scan finds units that fail before a client reads them.

mod absent_disk;
mod busy_disk;
mod memory;
mod other_errors;
mod passes;
mod thread;
mod unreadable;
mod weak;

use crate::kit::{
    scsi_debug::ScsiDebug,
    *, //
};
use serde_json::Value;

/// The tests of this subject.
pub fn tests() -> Vec<Test> {
    let parts = [
        absent_disk::tests(),
        busy_disk::tests(),
        memory::tests(),
        other_errors::tests(),
        passes::tests(),
        unreadable::tests(),
        weak::tests(),
    ];
    parts.into_iter().flatten().collect()
}

/// Units in a batch of the scan.
const BATCH: u64 = 64;
/// The table of `r` on a main of 16 MiB.
const SMALL: &str = "0 32768 remap /dev/main 0 /dev/spare 0 16384";
/// The same table on a mapped device.
const MAPPED: &str = "0 32768 remap /dev/mapper/main 0 /dev/spare 0 16384";
/// The findings of a pass without any.
const NOTHING: &str = "0 weak 0 moved 0";

fn small() -> Result<Array> {
    Array::with(16, 8, "")
}

/// A line of the answer to `scan`.
fn line(r: &Remap, name: &str) -> Result<String> {
    Ok(r.ask("scan")?.value(name)?.to_string())
}

/// The findings of the pass so far, such as `2 weak 1 moved 0`.
fn pass(r: &Remap) -> Result<String> {
    line(r, "found")
}

/// The unit up to which all units were read in order.
fn position(r: &Remap) -> Result<u64> {
    Ok(r.status()?.scan_position.of)
}

/// Waits until the first batch is read.
fn until_begun(r: &Remap) -> Result<()> {
    until(|| Ok(position(r)? > 0))
}

/// Makes a scan at 1 KiB a second read further batches, one at a time, until the condition holds.
///
/// By itself it would read the next batch in an hour, so that its position does not depend on the
/// duration of the test.
fn step_until(r: &Remap, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    until(|| {
        r.message("scan start")?;
        is_so()
    })
}

/// Completes a pass. It must make suspects of the units of these failing sectors, and of no others,
/// and relocate none.
fn finds(r: &Remap, sectors: &[u64]) -> Result<()> {
    r.scan()?;
    let units: Vec<_> = sectors.iter().map(|sector| sector / UNIT * UNIT).collect();
    assert_eq!(r.suspects()?, units);
    assert_eq!(pass(r)?, format!("{} weak 0 moved 0", sectors.len()));
    assert_eq!(r.status()?.used.of, 0);
    Ok(())
}

/// Completes a pass, which must find nothing. There must be no suspects from earlier passes.
fn finds_nothing(r: &Remap) -> Result<()> {
    finds(r, &[])
}

/// `r` on a disk of scsi_debug.
fn on_scsi_debug(disk: &ScsiDebug) -> Result<Remap> {
    NullDisk::new("spare", 8)?;
    let main = disk.path().display();
    Remap::create(&format!("0 131072 remap {main} 0 /dev/spare 0 16384"))
}

/// A dump of the metadata of the inactive array.
fn dump() -> Result<Value> {
    let text = run("remapctl", &["dump", "/dev/main", "/dev/spare"])?;
    Ok(serde_json::from_str(&text)?)
}
