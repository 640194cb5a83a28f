// SPDX-License-Identifier: GPL-2.0

//! Slow reads of a busy or slow disk make no unit weak.

use super::{
    line,
    pass,
    position,
    step_until,
    thread::ScanThread,
    weak::{
        with_slow_unit,
        MILLISECONDS,
        SLOW, //
    },
    MAPPED,
    NOTHING, //
};
use crate::kit::*;
use std::io;

crate::tests![
    units_of_a_busy_disk_stay_where_they_are(waits: true),
    a_weak_unit_of_a_busy_disk_is_moved_when_it_is_quiet(waits: true),
    units_of_a_disk_that_becomes_slow_stay_where_they_are(waits: true),
];

/// `r` on main without its first unit, which others can read directly, and which can be held there.
struct SharedDisk {
    r: Remap,
    main: Mapped,
    gate: Gate,
    disk: NullDisk,
}

impl SharedDisk {
    /// Creates the device, with these lines in main's table behind the first unit.
    fn new(lines: &str) -> Result<Self> {
        let disk = NullDisk::new("disk", 17)?;
        NullDisk::new("spare", 8)?;
        let gate = Gate::new("gate", &disk, 0, UNIT)?;
        let main = Mapped::create("main", &Self::table(lines))?;
        let r = Remap::create("0 32768 remap /dev/mapper/main 8 /dev/spare 0 16384 2 scan_rate 1")?;
        Ok(Self {
            r,
            main,
            gate,
            disk,
        })
    }

    fn table(lines: &str) -> String {
        format!("0 {UNIT} linear /dev/mapper/gate 0\n{lines}")
    }

    fn replace(&self, lines: &str) -> Result<()> {
        self.main.replace(&Self::table(lines))
    }

    /// Starts a direct read of main, which is held until the gate is opened.
    fn read_past_r(&self) -> Result<Beside<io::Result<Vec<u8>>>> {
        self.gate.hold_reads()?;
        let main = self.main.clone();
        let reader = beside(move || main.read(0, UNIT));
        self.gate.until_reads_are_held(1)?;
        Ok(reader)
    }

    /// Ends the direct read.
    fn let_be(&self, reader: Beside<io::Result<Vec<u8>>>) -> Result<()> {
        self.gate.open()?;
        reader.end()?;
        Ok(())
    }
}

/// The number of reads of the pass by the logarithm of the milliseconds that they took.
fn reads_by_time(r: &Remap) -> Result<Vec<u64>> {
    let counts = line(r, "reads_by_milliseconds")?;
    let numbers = counts.split(' ').map(|count| Ok(count.parse()?));
    numbers.collect()
}

/// The number of reads of the pass that took more than half a second.
fn slow_reads(r: &Remap) -> Result<u64> {
    Ok(reads_by_time(r)?.iter().skip(10).sum())
}

/// Waits for the given number of further slow reads.
fn until_more_are_slow(r: &Remap, more: u64) -> Result<()> {
    let before = slow_reads(r)?;
    until(|| Ok(slow_reads(r)? >= before + more))
}

/// Begins a pass that knows the latency of batches and of single units, because a unit at sector
/// 800 of `r`, in the second batch, cannot be read.
fn begin_pass_that_knows(r: &Remap) -> Result<()> {
    step_until(r, || Ok(pass(r)? == "1 weak 0 moved 0"))
}

/// The disk is in use directly, and all reads of the scan are slow: no unit is weak because of
/// that.
fn units_of_a_busy_disk_stay_where_they_are() -> Result<()> {
    const QUICK: &str = "8 32768 linear /dev/disk 8";
    let a = SharedDisk::new(QUICK)?;
    a.disk.bad(808..=808)?;
    begin_pass_that_knows(&a.r)?;
    a.replace("8 32768 delay /dev/disk 8 1100 /dev/disk 8 0")?;
    let reader = a.read_past_r()?;
    a.r.message("scan rate 1000000")?;
    until_more_are_slow(&a.r, 5)?;
    assert_eq!(pass(&a.r)?, "1 weak 0 moved 0");
    a.let_be(reader)?;
    a.replace(QUICK)?;
    a.r.until_scan_is("stopped")?;
    assert_eq!(pass(&a.r)?, "1 weak 0 moved 0");
    assert_eq!(a.r.used()?, "0/1536");
    Ok(())
}

/// The scan identifies a weak unit of a busy disk once the disk is idle.
fn a_weak_unit_of_a_busy_disk_is_moved_when_it_is_quiet() -> Result<()> {
    let lines = |milliseconds| with_slow_unit(UNIT, SLOW + UNIT, 32776, milliseconds);
    let mut milliseconds = MILLISECONDS;
    let a = SharedDisk::new(&lines(milliseconds))?;
    a.r.message("scan rate 1000000")?;
    loop {
        let reader = a.read_past_r()?;
        a.r.message("scan start")?;
        until(|| Ok(position(&a.r)? == 4096 || a.r.status()?.scan != "running"))?;
        let reads = reads_by_time(&a.r)?;
        let thread = ScanThread::of(&a.main)?;
        thread.until_it_has_looked_again(&a.r)?;
        // Not even what is read while a doubtful unit rests.
        assert_eq!(reads_by_time(&a.r)?, reads);
        assert_eq!(pass(&a.r)?, NOTHING);
        assert_eq!(a.r.status()?.scan, "running");
        a.let_be(reader)?;
        a.r.until_scan_is("stopped")?;
        if pass(&a.r)? != NOTHING {
            break;
        }
        // On a slow machine, other slow reads hide the unit.
        milliseconds *= 2;
        a.replace(&lines(milliseconds))?;
    }
    assert_eq!(pass(&a.r)?, "0 weak 1 moved 1");
    assert_eq!(a.r.list_lines()?, "20000 2048 8/8");
    Ok(())
}

/// All reads are slow on an otherwise idle disk: the disk as a whole is slow.
fn units_of_a_disk_that_becomes_slow_stay_where_they_are() -> Result<()> {
    const QUICK: &str = "0 32768 linear /dev/disk 0";
    let disk = NullDisk::new("disk", 16)?;
    NullDisk::new("spare", 8)?;
    let main = Mapped::create("main", QUICK)?;
    let r = Remap::create(&format!("{MAPPED} 2 scan_rate 1"))?;
    disk.bad(800..=800)?;
    begin_pass_that_knows(&r)?;
    main.replace("0 32768 delay /dev/disk 0 1100 /dev/disk 0 0")?;
    r.message("scan rate 1000000")?;
    until_more_are_slow(&r, 9)?;
    main.replace(QUICK)?;
    r.until_scan_is("stopped")?;
    assert_eq!(pass(&r)?, "1 weak 0 moved 0");
    assert_eq!(r.used()?, "0/1536");
    Ok(())
}
