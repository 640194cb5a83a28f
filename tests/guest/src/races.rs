// SPDX-License-Identifier: GPL-2.0

//! Units that are relocated while they are in use.

use crate::kit::*;
use rustix::io::Errno;
use std::io;

crate::tests![
    concurrent_messages(cpus: 2),
    write_waits_for_the_move_of_its_unit,
    nowait_does_not_wait_for_a_move,
    write_in_flight_is_not_lost_by_a_move,
    write_in_flight_elsewhere_is_whole,
    suspend_waits_for_a_write_in_flight,
    a_write_that_fails_while_a_suspend_waits_for_it,
    a_storm_on_one_cpu_does_not_stall_another(cpus: 2),
    looking_waits_for_no_disk,
];

/// `r` on a main that is a gate.
struct Gated {
    r: Remap,
    main: Gate,
    disk: NullDisk,
    spare: NullDisk,
}

impl Gated {
    fn new() -> Result<Self> {
        let disk = NullDisk::new("disk", 64)?;
        let spare = NullDisk::new("spare", 8)?;
        let main = Gate::new("main", &disk, 0, MAIN)?;
        let r = Remap::create("0 131072 remap /dev/mapper/main 0 /dev/spare 0 16384")?;
        Ok(Self {
            r,
            main,
            disk,
            spare,
        })
    }

    /// Begins to relocate the units of these sectors, and holds the read of the first.
    fn begin_move(&self, sector: u64, sectors: u64) -> Result<Beside<Result<String>>> {
        self.main.hold_reads()?;
        let r = self.r.clone();
        let mover = beside(move || r.relocate(sector, sectors));
        self.main.until_reads_are_held(sectors.div_ceil(UNIT))?;
        Ok(mover)
    }

    /// Begins a write of the unit at sector 800, and holds it.
    fn begin_write(&self, unit: &[u8]) -> Result<Beside<io::Result<()>>> {
        self.main.hold_writes()?;
        let (r, unit) = (self.r.clone(), unit.to_vec());
        let writer = beside(move || r.write(800, &unit));
        self.main.until_writes_are_held(1)?;
        Ok(writer)
    }

    /// Begins to relocate a unit while a write is held, and returns when the unit is marked as
    /// busy.
    fn begin_move_behind_a_write(&self, sector: u64) -> Result<Beside<Result<String>>> {
        let r = self.r.clone();
        let mover = beside(move || r.relocate(sector, UNIT));
        until(|| Ok(self.r.ask("debug")?.number("map_entries")? == 1))?;
        Ok(mover)
    }

    /// Begins a suspend while a write is held, and returns when the suspend waits for the write.
    fn begin_suspend(
        &self,
        suspend: impl FnOnce(&Remap) -> Result<()> + Send + 'static,
    ) -> Result<Beside<Result<()>>> {
        let r = self.r.clone();
        let suspender = beside(move || suspend(&r));
        until(|| Ok(self.r.ask("debug")?.number("suspended")? == 1))?;
        ensure!(
            !suspender.has_ended(),
            "the suspend does not wait for the write"
        );
        Ok(suspender)
    }
}

fn concurrent_messages() -> Result<()> {
    let a = Array::new()?;
    let image = random(MIB);
    a.r.write(0, &image)?;
    let movers: Vec<_> = (0..3)
        .map(|_| {
            let r = a.r.clone();
            beside(move || move_to_and_fro(&r))
        })
        .collect();
    for mover in movers {
        mover.end()?;
    }
    // One of every four units is back on main.
    assert_eq!(a.r.used()?, "21/1536");
    a.r.holds(&image)
}

fn move_to_and_fro(r: &Remap) -> Result<()> {
    for sector in (64..512).step_by(64) {
        r.relocate(sector, 4 * UNIT)?;
        // Another thread may have moved the unit back.
        let _ = r.move_back(sector);
        r.list()?;
        r.status()?;
    }
    Ok(())
}

fn write_waits_for_the_move_of_its_unit() -> Result<()> {
    let a = Gated::new()?;
    let mut unit = random(4096);
    a.disk.write(800, &unit)?;
    let mover = a.begin_move(800, UNIT)?;
    let new = random(SECTOR);
    let writer = beside({
        let (r, new) = (a.r.clone(), new.clone());
        move || r.write(801, &new)
    });
    // The write is counted when it is queued.
    until(|| Ok(a.r.count("repaired")? == 1 || writer.has_ended()))?;
    ensure!(!writer.has_ended(), "the write did not wait");
    a.main.open()?;
    mover.end()?;
    writer.end()?;
    assert_eq!(a.r.count("repaired")?, 1);
    assert_eq!(a.r.used()?, "1/1536");
    a.disk
        .holds_at(800, &unit)
        .context("the write went to main")?;
    overwrite(&mut unit, 1, &new);
    a.r.holds_at(800, &unit)
}

fn nowait_does_not_wait_for_a_move() -> Result<()> {
    let a = Gated::new()?;
    let units = random(8 * 4096);
    write_nowait(&a.r, 800, &units).context("while no unit is being moved")?;
    a.r.holds_at(800, &units)?;
    // Eight units, which are read at once while all of them are busy.
    let mover = a.begin_move(800, 8 * UNIT)?;
    for sector in (800..864).step_by(8) {
        fails_with(write_nowait(&a.r, sector, &random(4096)), Errno::AGAIN)?;
    }
    assert_eq!(a.r.count("repaired")?, 0);
    a.main.open()?;
    mover.end()?;
    assert_eq!(a.r.used()?, "8/1536");
    a.r.holds_at(800, &units)
}

fn write_in_flight_is_not_lost_by_a_move() -> Result<()> {
    let a = Gated::new()?;
    let unit = random(4096);
    let writer = a.begin_write(&unit)?;
    let mover = a.begin_move_behind_a_write(800)?;
    assert_eq!(a.main.held()?.writes, 1);
    ensure!(!mover.has_ended(), "the move did not wait for the write");
    a.main.open()?;
    writer.end()?;
    mover.end()?;
    a.r.holds_at(800, &unit)?;
    assert_eq!(a.r.used()?, "1/1536");
    a.spare.holds_at(REGION, &unit)
}

fn write_in_flight_elsewhere_is_whole() -> Result<()> {
    let a = Gated::new()?;
    let unit = random(4096);
    let writer = a.begin_write(&unit)?;
    let mover = a.begin_move_behind_a_write(1600)?;
    a.main.open()?;
    writer.end()?;
    mover.end()?;
    assert_eq!(a.r.list_lines()?, "1600 2048 8/8");
    a.r.holds_at(800, &unit)
}

fn suspend_waits_for_a_write_in_flight() -> Result<()> {
    let a = Gated::new()?;
    let unit = random(4096);
    let writer = a.begin_write(&unit)?;
    let suspender = a.begin_suspend(|r| r.suspend_noflush())?;
    a.main.open()?;
    suspender.end()?;
    a.r.resume()?;
    writer.end()?;
    a.r.holds_at(800, &unit)
}

fn a_write_that_fails_while_a_suspend_waits_for_it() -> Result<()> {
    let a = Gated::new()?;
    a.disk.bad(800..=800)?;
    let unit = random(4096);
    let writer = a.begin_write(&unit)?;
    let suspender = a.begin_suspend(|r| r.suspend())?;
    a.main.open()?;
    suspender.end()?;
    a.r.resume()?;
    writer.end()?;
    assert_eq!(a.r.count("relocated")?, 1);
    a.r.holds_at(800, &unit)
}

/// Failed requests of one CPU are retried on it, one after another. Another CPU does not wait for
/// them.
fn a_storm_on_one_cpu_does_not_stall_another() -> Result<()> {
    const READS: u64 = 24;
    let disk = NullDisk::new("disk", 64)?;
    NullDisk::new("spare", 8)?;
    disk.bad(8000..=9000)?;
    let gate = Gate::new("gate", &disk, 8000, READS * UNIT)?;
    let main = "0 8000 linear /dev/disk 0\n\
                8000 192 linear /dev/mapper/gate 0\n\
                8192 122880 linear /dev/disk 8192";
    Mapped::create("main", main)?;
    let r = Remap::create("0 131072 remap /dev/mapper/main 0 /dev/spare 0 16384")?;
    gate.hold_reads()?;
    let words = "--name=storm --filename=/dev/mapper/r --ioengine=libaio --direct=1 --rw=read \
                 --bs=4k --offset=4096000 --size=96k --iodepth=24 --continue_on_error=read";
    let words: Vec<_> = words.split(' ').collect();
    let mut storm = on_cpu(0, || start("fio", &words))??;
    gate.until_reads_are_held(READS)?;
    // A suspend releases the requests, which fail on this CPU, and holds their retries.
    on_cpu(0, || gate.suspend_noflush())??;
    until(|| Ok(r.count("read_errors")? == READS))?;
    fails(on_cpu(1, || r.read(8800, UNIT))?)?;
    assert_eq!(r.count("read_errors")?, READS + 1);
    ensure!(!storm.has_ended()?, "the read waited for other requests");
    ensure!(
        r.in_flight()?.reads > 0,
        "the read waited for other requests"
    );
    gate.open()?;
    storm.end()?;
    Ok(())
}

/// A relocation that waits for main does not delay queries.
fn looking_waits_for_no_disk() -> Result<()> {
    let a = Gated::new()?;
    a.r.relocate(1600, UNIT)?;
    let mover = a.begin_move(800, UNIT)?;
    let status = a.r.status()?;
    assert_eq!(status.used.to_string(), "1/1536");
    assert_eq!(status.mode, "rw");
    assert_eq!(status.regions.to_string(), "2/2");
    assert_eq!(status.breaker, "closed");
    a.r.table()?;
    let questions = [
        "ping", "info", "stats", "debug", "suspects", "breaker", "scan", "cache", "numa", "reason",
        "help",
    ];
    for question in questions {
        a.r.message(question)?;
    }
    assert_eq!(a.r.list_lines()?, "1600 2048 8/8");
    assert_eq!(a.main.held()?.reads, 1);
    a.main.open()?;
    mover.end()?;
    assert_eq!(a.r.used()?, "2/1536");
    Ok(())
}
