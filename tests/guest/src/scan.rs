// SPDX-License-Identifier: GPL-2.0

//! The scan finds what fails before anybody asks for it.

use crate::kit::{
    faults::{
        fail_allocations,
        no_nodes,
        nodes_again, //
    },
    host::pull,
    module,
    scsi_debug::{
        ScsiDebug,
        READ, //
    },
    *, //
};
use remap_active::answer::Answer;
use serde_json::{
    json,
    Value, //
};
use std::{
    fs,
    io,
    path::PathBuf, //
};

crate::tests![
    all_units_that_cannot_be_read,
    a_disk_that_fails_in_part,
    a_disk_with_large_blocks_and_units,
    a_disk_of_dust,
    a_disk_of_parts,
    a_disk_with_sense_codes,
    a_scsi_disk(disks: &["scsi:64M:read@8003+2:read@70001", "scsi:16M"]),
    an_nvme_disk(disks: &["nvme:64M:read@8003+2:read@70001", "nvme:16M"]),
    a_unit_that_is_read_after_some_tries_is_moved,
    a_weak_unit_is_moved_while_it_can_be_read(waits: true),
    a_weak_unit_stays_if_that_is_wanted(waits: true),
    a_weak_unit_stays_if_no_spare_unit_is_left(waits: true),
    units_of_a_busy_disk_stay_where_they_are(waits: true),
    a_weak_unit_of_a_busy_disk_is_moved_when_it_is_quiet(waits: true),
    units_of_a_disk_that_becomes_slow_stay_where_they_are(waits: true),
    a_unit_of_which_the_path_fails_is_not_weak,
    a_unit_that_fails_once_with_any_error_is_not_weak,
    units_that_fail_for_other_reasons_are_passed_over,
    it_waits_while_the_path_fails,
    suspects_are_read_again,
    numbers_as_large_as_there_are,
    it_waits_while_memory_is_short,
    a_scan_that_fails,
    units_on_the_spare_are_read_there,
    it_waits_goes_on_and_ends,
    it_goes_on_where_it_was,
    it_begins_by_itself_again_and_again,
    a_pass_that_takes_too_long(waits: true),
    it_ends_with_its_device_while_it_reads,
    a_disk_that_hangs_holds_up_nobody_but_the_scan,
    a_disk_is_pulled(disks: &["scsi:64M", "scsi:16M"], hands: true),
    a_disk_that_is_gone_has_no_bad_units,
];

/// Units that the scan reads at once.
const BATCH: u64 = 64;
/// The table of `r` on a main of 16 MiB.
const SMALL: &str = "0 32768 remap /dev/main 0 /dev/spare 0 16384";
/// The same on a mapped device.
const MAPPED: &str = "0 32768 remap /dev/mapper/main 0 /dev/spare 0 16384";
/// What a pass is that found nothing.
const NOTHING: &str = "0 weak 0 moved 0";

fn small() -> Result<Array> {
    Array::with(16, 8, "")
}

/// A line of what `scan` answers.
fn line(r: &Remap, name: &str) -> Result<String> {
    Ok(r.ask("scan")?.value(name)?.to_string())
}

/// What the pass has found so far, such as `2 weak 1 moved 0`.
fn pass(r: &Remap) -> Result<String> {
    line(r, "found")
}

/// The unit up to which all was read in order.
fn position(r: &Remap) -> Result<u64> {
    Ok(r.status()?.scan_position.of)
}

/// Waits until the first batch is read.
fn until_begun(r: &Remap) -> Result<()> {
    until(|| Ok(position(r)? > 0))
}

/// Has a scan whose rate is 1 KiB a second read a batch more, and another, until that is so.
///
/// By itself it would read the next in an hour, so that it stays where it is however long a test
/// takes.
fn step_until(r: &Remap, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    until(|| {
        r.message("scan start")?;
        is_so()
    })
}

/// A pass makes suspects of the units of these sectors, which fail, and of no others, and moves
/// none.
fn finds(r: &Remap, sectors: &[u64]) -> Result<()> {
    r.scan()?;
    let units: Vec<_> = sectors.iter().map(|sector| sector / UNIT * UNIT).collect();
    assert_eq!(r.suspects()?, units);
    assert_eq!(pass(r)?, format!("{} weak 0 moved 0", sectors.len()));
    assert_eq!(r.status()?.used.of, 0);
    Ok(())
}

/// A pass finds nothing, and nothing is known from before.
fn finds_nothing(r: &Remap) -> Result<()> {
    finds(r, &[])
}

fn all_units_that_cannot_be_read() -> Result<()> {
    // In one batch with others, at both ends of a batch, alone, and in the last unit.
    const BAD: [u64; 7] = [800, 1024, 1535, 9000, 9008, 16390, 32767];
    let a = small()?;
    let image = random(800 * SECTOR);
    a.r.write(0, &image)?;
    for sector in BAD {
        a.main.bad(sector..=sector)?;
    }
    finds(&a.r, &BAD)?;
    assert_eq!(a.r.count("scan_found")?, 7);
    assert_eq!(a.r.status()?.scan, "stopped");
    assert_eq!(a.r.count("scan_passes")?, 1);
    assert_eq!(a.r.count("suspects")?, 7);
    assert_eq!(line(&a.r, "regions_with_trouble")?, "1");
    assert_eq!(line(&a.r, "region")?, "0 15");
    a.r.holds(&image).context("a neighbour")?;
    // Those that are known are not found again.
    a.r.scan()?;
    assert_eq!(a.r.count("scan_found")?, 7);
    assert_eq!(line(&a.r, "before")?, "found 7 weak 0 moved 0");
    // A write heals or moves them.
    a.main.good(0..=32767)?;
    a.r.wipe(800, UNIT)?;
    assert_eq!(a.r.status()?.suspects, 6);
    Ok(())
}

fn a_disk_that_fails_in_part() -> Result<()> {
    let main = NullDisk::with("main", 16, &[("badblocks_partial_io", "1")])?;
    NullDisk::new("spare", 8)?;
    let r = Remap::create(SMALL)?;
    let bad = [0, 2047, 30000];
    for sector in bad {
        main.bad(sector..=sector)?;
    }
    finds(&r, &bad)
}

fn a_disk_with_large_blocks_and_units() -> Result<()> {
    let main = NullDisk::with("main", 16, &[("blocksize", "4096")])?;
    NullDisk::new("spare", 8)?;
    let r = Remap::create(&format!("{SMALL} 2 unit 32768"))?;
    main.bad(800..=807)?;
    main.bad(16376..=16383)?;
    r.scan()?;
    assert_eq!(r.suspects()?, [768, 16320]);
    assert_eq!(pass(&r)?, "2 weak 0 moved 0");
    Ok(())
}

fn a_disk_of_dust() -> Result<()> {
    NullDisk::new("disk", 16)?;
    NullDisk::new("spare", 8)?;
    let main = Mapped::create("main", "0 32768 dust /dev/disk 0 4096")?;
    for block in [127, 128, 2500] {
        main.message(&format!("addbadblock {block}"))?;
    }
    main.message("enable")?;
    let r = Remap::create(MAPPED)?;
    finds(&r, &[1016, 1024, 20000])
}

/// A part of the disk fails all reads, and another is not there.
fn a_disk_of_parts() -> Result<()> {
    let main = "0 8192 linear /dev/disk 0\n\
                8192 16 flakey /dev/disk 8192 0 1 1 error_reads\n\
                8208 8192 linear /dev/disk 8208\n\
                16400 8 error\n\
                16408 16360 linear /dev/disk 16408";
    NullDisk::new("disk", 16)?;
    NullDisk::new("spare", 8)?;
    Mapped::create("main", main)?;
    let r = Remap::create(MAPPED)?;
    finds(&r, &[8192, 8200, 16400])
}

/// `r` on a disk of scsi_debug.
fn on_scsi_debug(disk: &ScsiDebug) -> Result<Remap> {
    NullDisk::new("spare", 8)?;
    let main = disk.path().display();
    Remap::create(&format!("0 131072 remap {main} 0 /dev/spare 0 16384"))
}

fn a_disk_with_sense_codes() -> Result<()> {
    let disk = ScsiDebug::new("medium_error_start=8001 medium_error_count=3 opts=2")?;
    let r = on_scsi_debug(&disk)?;
    finds(&r, &[8001])
}

fn a_scsi_disk() -> Result<()> {
    two_bad_units_of_a_disk()
}

fn an_nvme_disk() -> Result<()> {
    two_bad_units_of_a_disk()
}

fn two_bad_units_of_a_disk() -> Result<()> {
    let r = Remap::create("0 131072 remap /dev/disk0 0 /dev/disk1 0 32768")?;
    finds(&r, &[8003, 70001])
}

/// The first reads of a unit fail, and one that follows works.
fn a_unit_that_is_read_after_some_tries_is_moved() -> Result<()> {
    let disk = ScsiDebug::new("")?;
    let r = on_scsi_debug(&disk)?;
    let image = random(MIB);
    r.write(0, &image)?;
    // The batch, and then its first unit: a medium error.
    disk.fail(READ, Some(2), [0, 0, 0x2, 0x3, 0x11, 0])?;
    r.scan()?;
    assert_eq!(pass(&r)?, "0 weak 1 moved 1");
    assert_eq!(r.list_lines()?, "0 2048 8/8");
    assert_eq!(r.count("scan_weak")?, 1);
    assert_eq!(r.count("scan_moved")?, 1);
    r.holds(&image)
}

/// The first sector of a unit that takes its time.
const SLOW: u64 = 20000;

/// Lines of a table that are the sectors from `first` to `end` of a disk, of which the unit at
/// sector `slow` takes so many milliseconds for a read.
fn with_slow_unit(first: u64, slow: u64, end: u64, milliseconds: u32) -> String {
    let behind = slow + UNIT;
    format!(
        "{first} {} linear /dev/disk {first}\n\
         {slow} {UNIT} delay /dev/disk {slow} {milliseconds} /dev/disk {slow} 0\n\
         {behind} {} linear /dev/disk {behind}",
        slow - first,
        end - behind,
    )
}

/// How long a slow unit takes in the first pass that looks for it.
const MILLISECONDS: u32 = 1500;

/// `r` on a main with a slow unit.
struct SlowUnit {
    r: Remap,
    main: Mapped,
    disk: NullDisk,
}

impl SlowUnit {
    fn new(features: &str) -> Result<Self> {
        let disk = NullDisk::new("disk", 16)?;
        NullDisk::new("spare", 8)?;
        let main = Mapped::create("main", &with_slow_unit(0, SLOW, 32768, MILLISECONDS))?;
        let r = Remap::create(format!("{MAPPED} {features}").trim_end())?;
        Ok(Self { r, main, disk })
    }

    /// Scans until a pass finds something, and returns how many events that pass raised.
    ///
    /// A machine whose other reads take long too hides the unit, so it is slower from pass to pass.
    fn scan(&self) -> Result<u32> {
        let mut milliseconds = MILLISECONDS;
        loop {
            let before = self.r.events()?;
            self.r.scan()?;
            if pass(&self.r)? != NOTHING {
                return Ok(self.r.events()? - before);
            }
            milliseconds *= 2;
            self.main
                .replace(&with_slow_unit(0, SLOW, 32768, milliseconds))?;
        }
    }
}

fn a_weak_unit_is_moved_while_it_can_be_read() -> Result<()> {
    let a = SlowUnit::new("")?;
    let image = random(MIB);
    a.r.write(19000, &image)?;
    a.scan()?;
    assert_eq!(pass(&a.r)?, "0 weak 1 moved 1");
    assert_eq!(a.r.list_lines()?, "20000 2048 8/8");
    // What is on main is not asked for any more.
    a.disk.wipe(SLOW, UNIT)?;
    a.r.holds_at(19000, &image)?;
    a.r.scan()?;
    assert_eq!(pass(&a.r)?, NOTHING);
    Ok(())
}

fn a_weak_unit_stays_if_that_is_wanted() -> Result<()> {
    let a = SlowUnit::new("2 proactive off")?;
    let events = a.scan()?;
    assert_eq!(pass(&a.r)?, "0 weak 1 moved 0");
    assert_eq!(a.r.used()?, "0/1536");
    // One for the unit, and one for the end of the pass.
    assert_eq!(events, 2);
    assert_eq!(line(&a.r, "region")?, "0 2");
    Ok(())
}

fn a_weak_unit_stays_if_no_spare_unit_is_left() -> Result<()> {
    let a = SlowUnit::new("")?;
    let image = random(MIB);
    a.r.write(19000, &image)?;
    a.r.relocate(0, 1536 * UNIT)?;
    assert_eq!(a.r.status()?.health, "exhausted");
    a.scan()?;
    assert_eq!(pass(&a.r)?, "0 weak 1 moved 0");
    let status = a.r.status()?;
    assert_eq!(status.used.to_string(), "1536/1536");
    assert_eq!(status.suspects, 0);
    a.r.holds_at(19000, &image)
}

/// `r` on main but for its first unit, which others can read past `r`, and be held there.
struct SharedDisk {
    r: Remap,
    main: Mapped,
    gate: Gate,
    disk: NullDisk,
}

impl SharedDisk {
    /// With these lines of main's table behind the first unit.
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

    /// Somebody reads main past `r` from now on, until the gate is opened.
    fn read_past_r(&self) -> Result<Beside<io::Result<Vec<u8>>>> {
        self.gate.hold_reads()?;
        let main = self.main.clone();
        let reader = beside(move || main.read(0, UNIT));
        self.gate.until_reads_are_held(1)?;
        Ok(reader)
    }

    /// Nobody does any more.
    fn let_be(&self, reader: Beside<io::Result<Vec<u8>>>) -> Result<()> {
        self.gate.open()?;
        reader.end()?;
        Ok(())
    }
}

/// How many reads of the pass took more than half a second.
fn slow_reads(r: &Remap) -> Result<u64> {
    let counts = line(r, "reads_by_milliseconds")?;
    counts
        .split(' ')
        .skip(10)
        .map(|count| Ok(count.parse::<u64>()?))
        .sum()
}

/// Waits until so many reads more were slow.
fn until_more_are_slow(r: &Remap, more: u64) -> Result<()> {
    let before = slow_reads(r)?;
    until(|| Ok(slow_reads(r)? >= before + more))
}

/// Begins a pass that knows what reads of batches take, and of single units, since a unit at sector
/// 800 of `r`, which is in the second batch, cannot be read.
fn begin_pass_that_knows(r: &Remap) -> Result<()> {
    step_until(r, || Ok(pass(r)? == "1 weak 0 moved 0"))
}

/// Others use the disk past the device, and all reads of the scan are slow: no unit is weak for
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

/// A weak unit is told from one of a busy disk when the disk is not busy any more.
fn a_weak_unit_of_a_busy_disk_is_moved_when_it_is_quiet() -> Result<()> {
    let lines = |milliseconds| with_slow_unit(UNIT, SLOW + UNIT, 32776, milliseconds);
    let mut milliseconds = MILLISECONDS;
    let a = SharedDisk::new(&lines(milliseconds))?;
    a.r.message("scan rate 1000000")?;
    loop {
        let reader = a.read_past_r()?;
        a.r.message("scan start")?;
        until(|| Ok(position(&a.r)? == 4096 || a.r.status()?.scan != "running"))?;
        let thread = ScanThread::of(&a.main)?;
        thread.until_it_has_looked_again(&a.r)?;
        assert_eq!(pass(&a.r)?, NOTHING);
        assert_eq!(a.r.status()?.scan, "running");
        a.let_be(reader)?;
        a.r.until_scan_is("stopped")?;
        if pass(&a.r)? != NOTHING {
            break;
        }
        // A machine whose other reads take long too hides the unit.
        milliseconds *= 2;
        a.replace(&lines(milliseconds))?;
    }
    assert_eq!(pass(&a.r)?, "0 weak 1 moved 1");
    assert_eq!(a.r.list_lines()?, "20000 2048 8/8");
    Ok(())
}

/// All reads are slow and nobody else reads: that is how the disk is.
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

/// Reads fail as a path does: DID_TRANSPORT_FAILFAST.
const PATH: [u8; 6] = [0xf, 0, 0, 0, 0, 0];
/// Reads fail for no reason that is told: DID_NO_CONNECT, which is `BLK_STS_IOERR`.
const NO_CONNECT: [u8; 6] = [1, 0, 0, 0, 0, 0];

/// `r` on a main of which two units are on a disk of scsi_debug.
fn with_path_to_a_part() -> Result<(Remap, ScsiDebug)> {
    let part = ScsiDebug::new("")?;
    NullDisk::new("disk", 16)?;
    NullDisk::new("spare", 8)?;
    let main = format!(
        "0 8192 linear /dev/disk 0\n\
         8192 16 linear {} 0\n\
         8208 24560 linear /dev/disk 8208",
        part.path().display()
    );
    Mapped::create("main", &main)?;
    Ok((Remap::create(MAPPED)?, part))
}

/// How many units the pass has passed over, if it has any.
fn passed_over(r: &Remap) -> Result<Option<String>> {
    Ok(r.ask("scan")?.find("passed_over").map(String::from))
}

/// Reads fail for a while, for a reason that is not the medium's.
fn a_unit_of_which_the_path_fails_is_not_weak() -> Result<()> {
    let (r, part) = with_path_to_a_part()?;
    for times in [2, 3] {
        part.fail(READ, Some(times), PATH)?;
        finds_nothing(&r)?;
        assert_eq!(passed_over(&r)?, None);
        part.work(READ)?;
    }
    Ok(())
}

/// An error that may be the path's makes a unit weak only if it comes twice while the rest of main
/// works.
fn a_unit_that_fails_once_with_any_error_is_not_weak() -> Result<()> {
    let (r, part) = with_path_to_a_part()?;
    let image = random(MIB);
    r.write(7000, &image)?;
    // The batch, and then its first unit.
    part.fail(READ, Some(2), NO_CONNECT)?;
    finds_nothing(&r)?;
    let status = r.status()?;
    assert_eq!(status.suspects, 0);
    assert_eq!(status.used.to_string(), "0/1536");
    part.work(READ)?;
    // The unit once more.
    part.fail(READ, Some(3), NO_CONNECT)?;
    r.scan()?;
    assert_eq!(pass(&r)?, "0 weak 1 moved 1");
    assert_eq!(r.list_lines()?, format!("8192 {REGION} 8/8"));
    part.work(READ)?;
    r.holds_at(7000, &image)
}

/// A part of main fails for a reason that is not the medium's, again and again: the pass gets by
/// it.
fn units_that_fail_for_other_reasons_are_passed_over() -> Result<()> {
    let (r, part) = with_path_to_a_part()?;
    part.fail(READ, None, PATH)?;
    let before = part.counted()?.reads;
    finds_nothing(&r)?;
    assert_eq!(passed_over(&r)?.as_deref(), Some("2"));
    assert_eq!(line(&r, "region")?, "0 2");
    let reads = part.counted()?.reads - before;
    ensure!(reads <= 16, "{reads} reads");
    part.work(READ)?;
    finds_nothing(&r)?;
    assert_eq!(passed_over(&r)?, None);
    Ok(())
}

/// For how many seconds the scan waits before it tries main again.
fn waits_for_main(r: &Remap) -> Result<Option<u64>> {
    let answer = r.ask("scan")?;
    let seconds = answer.find("waits_for_main").map(str::parse);
    Ok(seconds.transpose()?)
}

/// Main does not work at all, which says nothing of its units.
fn it_waits_while_the_path_fails() -> Result<()> {
    let disk = ScsiDebug::new("")?;
    let r = on_scsi_debug(&disk)?;
    disk.fail(READ, None, PATH)?;
    let before = disk.counted()?.reads;
    r.message("scan rate 1000000")?;
    r.message("scan start")?;
    let (mut reads, mut seconds) = (0, 0);
    until(|| {
        // Asked for first, as another try may follow.
        reads = disk.counted()?.reads - before;
        seconds = waits_for_main(&r)?.unwrap_or(0);
        Ok(seconds >= 4)
    })?;
    // The pause begins with a second and doubles with each try, which reads a batch and a unit in
    // four other places.
    let tries = u64::from(seconds.ilog2()) + 1;
    ensure!(reads <= 5 * tries, "{reads} reads in {tries} tries");
    let status = r.status()?;
    assert_eq!(status.scan, "running");
    assert_eq!(status.scan_position.to_string(), "0/16384");
    disk.work(READ)?;
    // It need not wait until the pause is over.
    r.message("scan start")?;
    r.until_scan_is("stopped")?;
    assert_eq!(waits_for_main(&r)?, None);
    assert_eq!(pass(&r)?, NOTHING);
    assert_eq!(passed_over(&r)?, None);
    assert_eq!(r.status()?.breaker, "closed");
    Ok(())
}

/// Suspects that are well again are none any more after a pass.
fn suspects_are_read_again() -> Result<()> {
    let a = small()?;
    for sector in (800..=4000).step_by(80) {
        a.main.bad(sector..=sector)?;
    }
    a.r.scan()?;
    assert_eq!(a.r.status()?.suspects, 41);
    a.main.bad(4001..=4001)?;
    a.main.good(800..=800)?;
    a.r.scan()?;
    assert_eq!(a.r.status()?.suspects, 40);
    a.main.good(0..=4000)?;
    a.r.scan()?;
    assert_eq!(a.r.suspects()?, [4000]);
    assert_eq!(pass(&a.r)?, NOTHING);
    Ok(())
}

/// What the metadata of an array say that is not active.
fn dump() -> Result<Value> {
    let text = run("remapctl", &["dump", "/dev/main", "/dev/spare"])?;
    Ok(serde_json::from_str(&text)?)
}

/// Makes the numbers of an array that is not active as large as there are, and those that no
/// counter has.
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

/// What the metadata say may be any number.
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

/// The thread of a scan.
struct ScanThread(PathBuf);

impl ScanThread {
    /// That of the scan of this main.
    fn of(main: &impl Block) -> Result<Self> {
        let name = format!("remap/{}", main.attribute("dev")?);
        for entry in fs::read_dir("/proc")? {
            let folder = entry?.path();
            // A process may end meanwhile, and other files have no name.
            let comm = fs::read_to_string(folder.join("comm")).unwrap_or_default();
            if comm.trim_end() == name {
                return Ok(Self(folder));
            }
        }
        bail!("no thread {name}")
    }

    /// How often it has gone to sleep.
    fn sleeps(&self) -> Result<u64> {
        let status = fs::read_to_string(self.0.join("status"))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
            .context("the switches of a thread")?;
        Ok(line.trim().parse()?)
    }

    /// Wakes it until it has looked some times for something to do.
    fn until_it_has_looked_again(&self, r: &Remap) -> Result<()> {
        let before = self.sleeps()?;
        step_until(r, || Ok(self.sleeps()? >= before + 10))
    }
}

/// The scan waits, as what it might do takes of what is left.
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

/// Fails unless the scan has failed for want of memory.
fn scan_has_failed(r: &Remap) -> Result<()> {
    assert_eq!(r.status()?.scan, "failed");
    assert_eq!(line(r, "error")?, "-12");
    Ok(())
}

/// Starts the scan and waits until it ends, or is done; whether it could be started.
fn starts(r: &Remap) -> Result<bool> {
    let started = r.message("scan start").is_ok();
    until(|| Ok(["stopped", "failed"].contains(&r.status()?.scan.as_str())))?;
    Ok(started)
}

/// The thread cannot be started, or ends since it gets no memory: that concerns nobody but the
/// scan.
fn a_scan_that_fails() -> Result<()> {
    let a = small()?;
    let image = random(MIB);
    a.r.write(0, &image)?;
    a.r.message("scan rate 1000000")?;
    fail_allocations(&[])?;
    let mut log = KernelLog::now()?;
    // The next allocation of the one that makes all threads of the kernel, unless that is for
    // another.
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
    // It can be begun again.
    a.r.scan()?;
    assert_eq!(a.r.status()?.scan, "stopped");
    Ok(())
}

/// Has the thread be made and get so many bytes, until it gets too few: another thread may take the
/// failure.
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

fn units_on_the_spare_are_read_there() -> Result<()> {
    let a = small()?;
    a.r.relocate(800, UNIT)?;
    a.main.bad(800..=807)?;
    a.r.scan()?;
    assert_eq!(pass(&a.r)?, NOTHING);
    a.spare.bad(REGION..=REGION)?;
    let mut log = KernelLog::now()?;
    a.r.scan()?;
    log.must_have("sector 2048 of the spare cannot be read")
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
    // How many passes there were is kept.
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
    ensure!(kept >= before, "{kept} is kept, it was at {before}");
    let r = Remap::create(&slowly)?;
    assert_eq!(r.message("scan pause")?.trim_end(), "there was no scan");
    r.message("scan start")?;
    until_begun(&r)?;
    // A thread that begins when it was told to already reads two batches.
    let now = position(&r)?;
    ensure!(
        now == kept + BATCH || now == kept + 2 * BATCH,
        "at {now}, it was at {kept}"
    );
    // Another table of the same device goes on with it.
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
    // What was ended begins by itself with the next resume only.
    a.r.message("scan stop")?;
    a.r.until_scan_is("stopped")?;
    a.r.suspend()?;
    a.r.resume()?;
    a.r.until_scan_is("waiting")?;
    a.r.message("scan stop")?;
    a.r.until_scan_is("stopped")?;
    // A table that is loaded and not used changes nothing.
    a.r.load(&format!("{SMALL} 2 scan_interval 2"))?;
    a.r.clear()?;
    until_another_has_begun_by_itself()?;
    assert_eq!(a.r.status()?.scan, "stopped");
    assert_eq!(line(&a.r, "interval")?, "1");
    Ok(())
}

/// Waits until the scan of another device has begun by itself, which that of `r` would have done
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
    // It reads one batch, and the next in an hour.
    let a = Array::with(16, 8, "4 scan_interval 1 scan_rate 1")?;
    // It is called late once it will be, and is late after two seconds.
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

/// It is told to end while it reads, and would wait for an hour then.
fn it_ends_with_its_device_while_it_reads() -> Result<()> {
    let disk = NullDisk::new("disk", 16)?;
    NullDisk::new("spare", 8)?;
    let main = Gate::new("main", &disk, 0, 32768)?;
    let r = Remap::create(&format!("{MAPPED} 2 scan_rate 1"))?;
    main.hold_reads()?;
    r.message("scan start")?;
    main.until_reads_are_held(1)?;
    r.remove()?;
    main.open()?;
    until(|| Ok(fs::read_to_string("/sys/module/dm_remap/refcnt")?.trim() == "0"))
}

/// Nobody waits for a disk that hangs: not a suspend, nor a removal.
fn a_disk_that_hangs_holds_up_nobody_but_the_scan() -> Result<()> {
    let disk = NullDisk::new("disk", 64)?;
    NullDisk::new("spare", 8)?;
    let main = Gate::new("main", &disk, 0, MAIN)?;
    let r = Remap::create("0 131072 remap /dev/mapper/main 0 /dev/spare 0 16384")?;
    main.hold_reads()?;
    r.message("scan start")?;
    main.until_reads_are_held(1)?;
    r.suspend()?;
    r.resume()?;
    r.message("scan stop")?;
    assert_eq!(line(&r, "state")?, "stopping");
    refused("still waits for a read", || r.message("scan start"))?;
    r.remove()?;
    assert_eq!(main.held()?.reads, 1, "the read that hangs");
    fails(module::unload("dm_remap"))?;
    // The disk answers at once what it is asked when it is given up.
    main.open()?;
    until(|| Ok(module::unload("dm_remap").is_ok()))
}

/// The disk of `r` is gone: its scan, which reads batch after batch, finds out, and no bad units.
fn finds_no_disk(r: &Remap) -> Result<()> {
    step_until(r, || Ok(r.status()?.health == "tripped"))?;
    let status = r.status()?;
    assert_eq!(status.suspects, 0);
    assert_eq!(status.used.of, 0);
    Ok(())
}

fn a_disk_is_pulled() -> Result<()> {
    let r = Remap::create(
        "0 131072 remap /dev/disk0 0 /dev/disk1 0 32768 4 scan_interval 1000 scan_rate 1",
    )?;
    until_begun(&r)?;
    pull(0)?;
    finds_no_disk(&r)?;
    assert_eq!(r.used()?, "0/3584");
    fails(r.read(60000, UNIT))?;
    r.remove()
}

/// The disk is gone: nothing is found, and it is tried again when it is back.
fn a_disk_that_is_gone_has_no_bad_units() -> Result<()> {
    const THERE: &str = "0 32768 linear /dev/disk 0";
    NullDisk::new("disk", 16)?;
    NullDisk::new("spare", 8)?;
    let main = Mapped::create("main", THERE)?;
    let r = Remap::create(&format!("{MAPPED} 4 scan_rate 1 scan_interval 1000"))?;
    until_begun(&r)?;
    main.replace("0 32768 error")?;
    finds_no_disk(&r)?;
    main.replace(THERE)?;
    r.message("rearm")?;
    r.message("scan rate 1000000")?;
    r.until_scan_is("waiting")?;
    let status = r.status()?;
    assert_eq!(status.suspects, 0);
    assert_eq!(status.used.to_string(), "0/1536");
    Ok(())
}
