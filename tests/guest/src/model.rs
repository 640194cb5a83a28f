// SPDX-License-Identifier: GPL-2.0

//! Several threads read and write while disks fail, units are relocated, and the device is
//! suspended and reloaded. `tests/model` knows the possible contents of each block. A scan runs all
//! the time.

mod faults;

use crate::kit::{
    module,
    scsi_debug::ScsiDebug,
    *, //
};
use ::model::{
    Model,
    Work, //
};
use faults::{
    FailingDisks,
    FailingMain,
    Faults, //
};
use std::ops::Range;

crate::tests![
    // The longest first.
    main_reallocates(seconds: TORTURE),
    main_fails(seconds: TORTURE, cpus: 2),
    main_fails_in_part(seconds: TORTURE),
    both_fail(seconds: TORTURE),
    main_with_large_blocks(seconds: TORTURE),
    writes_in_flight_while_units_move(seconds: TORTURE),
    main_is_gone_at_times(seconds: TORTURE),
    a_scsi_disk_with_bad_sectors(
        seconds: TORTURE,
        disks: &["scsi:64M:write@81+3:read@163:write@200+16", "scsi:16M"],
    ),
    an_nvme_disk_with_bad_sectors(
        seconds: TORTURE,
        disks: &["nvme:64M:write@81+3:read@163:write@200+16", "nvme:16M"],
    ),
    sense_codes(seconds: TORTURE),
];

/// The time limit of a test, for the largest number of operations.
const TORTURE: u32 = 36000;
const SCAN: &str = "scan_interval 1 scan_rate 65536";
/// The sectors of `r`, an eighth of the disk.
const SECTORS: u64 = 16384;

/// `r` on a main and the default spare, with these features.
fn remap_on(main: &str, features: &str) -> Result<Remap> {
    Remap::create(&format!(
        "0 {SECTORS} remap {main} 0 /dev/spare 0 {SPARE} {features}"
    ))
}

/// The work of a test, and the disks that fail meanwhile.
struct Case {
    r: Remap,
    work: Work,
    disks: FailingDisks,
    /// Sectors that fail all the time.
    sick: Vec<Range<u64>>,
}

impl Case {
    /// A case without faults.
    fn new(r: Remap) -> Result<Self> {
        let seed = amount("SEED").unwrap_or_else(|_| fastrand::u64(..));
        let work = Work::on(r.path(), seed, amount("OPS")?);
        Ok(Self {
            r,
            work,
            disks: FailingDisks::default(),
            sick: Vec::new(),
        })
    }

    /// Runs the model once, and checks all data after the device is created again.
    fn run(&self) -> Result<()> {
        let model = Model::new(self.work.clone());
        for sectors in &self.sick {
            model.doom(sectors);
        }
        if self.disks.spare.is_some() {
            // Every unit may be on the spare.
            model.doom(&(0..self.work.sectors()));
        }
        let mut faults = Faults::new(&model, &self.r, &self.disks);
        model.run(|| faults.run())?;
        model.verify()?;
        let table = self.r.table()?;
        self.r.clone().remove()?;
        Remap::create(&table)?;
        model.verify()?;
        let (seed, faults) = (self.work.seed, faults.count());
        eprintln!("seed {seed}: {}, {faults} faults", model.summary());
        eprintln!("{}", self.r.message("stats")?);
        self.is_scanned()
    }

    /// Fails unless the scan has read since the device was created again.
    fn is_scanned(&self) -> Result<()> {
        until(|| {
            let scan = self.r.ask("scan")?;
            let reads = scan.value("reads_by_milliseconds")?;
            Ok(reads.contains(|digit: char| ('1'..='9').contains(&digit)))
        })
    }

    /// Runs the model until units are relocated because a disk failed. This depends on chance, so
    /// each run makes other choices.
    fn relocates(mut self) -> Result<()> {
        loop {
            let before = self.r.count("relocated")?;
            self.run()?;
            if self.r.count("relocated")? > before {
                return Ok(());
            }
            self.r.wipe(0, self.work.sectors())?;
            self.work.seed = fastrand::u64(..);
        }
    }

    /// Runs the model. No unit may be relocated because a disk failed.
    fn relocates_nothing(self) -> Result<()> {
        self.run()?;
        assert_eq!(self.r.count("relocated")?, 0);
        Ok(())
    }
}

fn main_fails() -> Result<()> {
    let disks = Disks::new()?;
    let mut case = Case::new(remap_on("/dev/main", &format!("7 breaker 0 0 {SCAN}"))?)?;
    case.disks.main = Some(FailingMain::Null(disks.main));
    case.work.blocks = 2048;
    case.relocates()
}

fn main_fails_in_part() -> Result<()> {
    module::load_ours()?;
    let main = NullDisk::with(
        "main",
        64,
        &[("badblocks_partial_io", "1"), ("discard", "1")],
    )?;
    NullDisk::with("spare", 8, &[("discard", "1")])?;
    let mut case = Case::new(remap_on("/dev/main", &format!("7 breaker 0 0 {SCAN}"))?)?;
    case.disks.main = Some(FailingMain::Null(main));
    case.work.blocks = 2048;
    case.relocates()
}

fn both_fail() -> Result<()> {
    let disks = Disks::new()?;
    let mut case = Case::new(remap_on("/dev/main", &format!("7 breaker 0 0 {SCAN}"))?)?;
    case.disks.main = Some(FailingMain::Null(disks.main));
    case.disks.spare = Some((disks.spare, REGION..REGION + 128));
    case.work.faults = 120;
    case.work.blocks = 2048;
    case.relocates()
}

fn main_with_large_blocks() -> Result<()> {
    module::load_ours()?;
    let main = NullDisk::with("main", 64, &[("blocksize", "4096")])?;
    NullDisk::new("spare", 8)?;
    let features = format!("9 unit 32768 breaker 0 0 {SCAN}");
    let mut case = Case::new(remap_on("/dev/main", &features)?)?;
    case.disks.main = Some(FailingMain::Null(main));
    case.work.block_bytes = 4096;
    case.work.blocks = 256;
    case.work.largest = 32;
    case.relocates()
}

fn main_reallocates() -> Result<()> {
    module::load_ours()?;
    NullDisk::new("disk", 64)?;
    NullDisk::new("spare", 8)?;
    let dust = Mapped::create("dust", "0 131072 dust /dev/disk 0 512")?;
    dust.message("enable")?;
    let features = "9 breaker 0 0 scan_interval 1 scan_rate 1024 proactive off";
    let mut case = Case::new(remap_on("/dev/mapper/dust", features)?)?;
    case.disks.main = Some(FailingMain::Dust(dust));
    // Each fault takes a message for each failing sector.
    case.work.faults = 10;
    case.relocates_nothing()
}

/// A write is in flight for 20 ms, during which its unit may be relocated.
fn writes_in_flight_while_units_move() -> Result<()> {
    module::load_ours()?;
    NullDisk::new("disk", 64)?;
    NullDisk::new("spare", 8)?;
    Mapped::create("main", "0 131072 delay /dev/disk 0 0 /dev/disk 0 20")?;
    let mut case = Case::new(remap_on("/dev/mapper/main", &format!("4 {SCAN}"))?)?;
    case.work.threads = 12;
    case.work.blocks = 512;
    case.work.largest = 24;
    case.work.faults = 10;
    case.run()
}

fn main_is_gone_at_times() -> Result<()> {
    module::load_ours()?;
    NullDisk::new("disk", 64)?;
    NullDisk::new("spare", 8)?;
    let main = Mapped::create("main", "0 131072 linear /dev/disk 0")?;
    let features = format!("6 {SCAN} proactive off");
    let mut case = Case::new(remap_on("/dev/mapper/main", &features)?)?;
    case.disks.gone_at_times = Some(main);
    case.work.all_may_fail = true;
    case.work.faults = 6;
    case.relocates_nothing()
}

/// On two disks of the host. The first has bad sectors.
fn bad_sectors() -> Result<()> {
    let table = format!("0 {SECTORS} remap /dev/disk0 0 /dev/disk1 0 32768 7 breaker 0 0 {SCAN}");
    let mut case = Case::new(Remap::create(&table)?)?;
    case.sick = vec![81..84, 163..164, 200..216];
    case.work.faults = 4;
    case.work.blocks = 256;
    case.relocates()
}

fn a_scsi_disk_with_bad_sectors() -> Result<()> {
    bad_sectors()
}

fn an_nvme_disk_with_bad_sectors() -> Result<()> {
    bad_sectors()
}

/// The device reports its faults, and their sectors, by sense codes. Its writes do not fail:
/// whether a sector that cannot be read is written later depends on chance.
fn sense_codes() -> Result<()> {
    module::load_ours()?;
    NullDisk::new("spare", 8)?;
    let disk = ScsiDebug::new("medium_error_start=81 medium_error_count=10 opts=2")?;
    let main = disk.path().display().to_string();
    let mut case = Case::new(remap_on(&main, &format!("7 breaker 0 0 {SCAN}"))?)?;
    case.sick.push(81..91);
    case.work.faults = 4;
    case.work.blocks = 256;
    case.relocates()
}
