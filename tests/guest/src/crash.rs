// SPDX-License-Identifier: GPL-2.0

//! Power loss during relocations. The tests write 64 units that cannot be written on main, and as
//! many beside them. `tests/crash` knows the versions that each unit may hold.

use crate::kit::{
    gate::Gate,
    host,
    module,
    *, //
};
use ::crash::{
    replay::{
        replay,
        Replayed, //
    },
    units::Units,
    versions::Known, //
};
use std::{
    fs::File,
    io::BufReader,
    ops::Range,
    path::PathBuf,
    sync::{
        atomic::{
            AtomicBool,
            AtomicU64,
            Ordering::Relaxed, //
        },
        Arc,
        Mutex,
        PoisonError, //
    }, //
};

crate::tests![
    every_point_of_a_log(seconds: 3600),
    acknowledged_after_its_commit,
    main_goes_before_the_spare,
    killed_under_load(
        seconds: 3600,
        repeated: true,
        disks: &["virtio:64M", "virtio:16M"],
    ),
    killed_under_load_on_scsi_disks(
        seconds: 3600,
        disks: &["scsi:64M:write@8000+512", "scsi:16M"],
    ),
];

/// The units that are written. The second half of them cannot be written on main.
const WRITTEN: Range<u64> = 936..1064;
/// The units that can be written on main.
const GOOD: Range<u64> = 936..1000;
/// Sectors of the logged main. The logged spare follows.
const LOGGED_MAIN: u64 = 131_072;

/// A table of main, on another disk, in which the bad units are errors.
fn with_bad_units(disk: &str) -> String {
    format!("0 8000 linear {disk} 0\n8000 512 error\n8512 122560 linear {disk} 8512")
}

/// Records the start and the acknowledgement of each write, as lines of the log.
type Tell = Arc<dyn Fn(&str) -> Result<()> + Send + Sync>;

/// Work beside the test, until it is stopped or fails.
struct Ongoing {
    stops: Arc<AtomicBool>,
    done: Beside<Result<()>>,
}

impl Ongoing {
    fn start(mut step: impl FnMut() -> Result<()> + Send + 'static) -> Self {
        let stops = Arc::new(AtomicBool::new(false));
        let stopped = stops.clone();
        let done = beside(move || {
            while !stopped.load(Relaxed) {
                step()?;
            }
            Ok(())
        });
        Self { stops, done }
    }

    fn stop(self) -> Result<()> {
        self.stops.store(true, Relaxed);
        self.end()
    }

    /// Waits until the work fails.
    fn end(self) -> Result<()> {
        self.done.end()
    }
}

/// Writes units in random order.
struct Writer {
    device: Units,
    units: Vec<u64>,
    /// The last version of any unit.
    last: Arc<AtomicU64>,
    tell: Tell,
}

impl Writer {
    /// A writer that alone writes these units.
    fn new(
        path: impl Into<PathBuf>,
        units: impl Iterator<Item = u64>,
        tell: &Tell,
    ) -> Result<Self> {
        Ok(Self {
            device: Units::of(&path.into())?,
            units: units.collect(),
            last: Arc::default(),
            tell: tell.clone(),
        })
    }

    /// Writes a unit.
    fn write(&mut self) -> Result<()> {
        let unit = fastrand::choice(&self.units).context("units to write")?;
        let version = self.last.fetch_add(1, Relaxed) + 1;
        (self.tell)(&format!("begin {unit} {version}"))?;
        self.device.write(*unit, version)?;
        (self.tell)(&format!("ack {unit} {version}"))
    }
}

/// Relocates two of the units that can be written, and moves one of them back.
fn move_units(r: &Remap) -> Result<()> {
    let sector = fastrand::u64(GOOD.start..GOOD.end - 1) * UNIT;
    r.relocate(sector, 2 * UNIT)?;
    r.move_back(sector)?;
    Ok(())
}

/// A log of all writes to main and the spare, in the order in which they became durable.
struct Logged {
    lw: Mapped,
    /// Adds lines to the log.
    tell: Tell,
}

impl Logged {
    /// Creates `/dev/mapper/main`, and the spare behind main on `/dev/mapper/lw`, with a log of the
    /// given MiB.
    fn new(log: u64) -> Result<Self> {
        module::load_ours()?;
        NullDisk::with("disk", 72, &[("cache_size", "8")])?;
        NullDisk::new("journal", log)?;
        let lw = Mapped::create("lw", "0 147456 log-writes /dev/disk /dev/journal")?;
        // Writes that fail must not be in the log.
        Mapped::create("main", &with_bad_units("/dev/mapper/lw"))?;
        let log = lw.clone();
        let mark = move |line: &str| {
            log.message(&format!("mark {}", line.replace(' ', "-")))?;
            Ok(())
        };
        Ok(Self {
            lw,
            tell: Arc::new(mark),
        })
    }

    /// Ends the log, and replays it. The power may be lost after each flush and each FUA write: the
    /// array must then be readable, and hold the acknowledged data.
    fn replay(self, others: &[Mapped]) -> Result<Replayed> {
        for device in others {
            device.clone().remove()?;
        }
        self.lw.remove()?;
        let log = BufReader::new(File::open("/dev/journal")?);
        let replayed = replay(log, LOGGED_MAIN, SPARE)?;
        let Replayed { points, acked } = replayed;
        eprintln!("{points} points, {acked} units written");
        Ok(replayed)
    }
}

fn every_point_of_a_log() -> Result<()> {
    let writes = amount("WRITES")?;
    let log = Logged::new(writes / 2 + 64)?;
    let spare = Mapped::create("spare", "0 16384 linear /dev/mapper/lw 131072")?;
    let r =
        Remap::create("0 131072 remap /dev/mapper/main 0 /dev/mapper/spare 0 16384 3 breaker 0 0")?;
    let moved = r.clone();
    let mover = Ongoing::start(move || move_units(&moved));
    let mut writer = Writer::new(r.path(), WRITTEN, &log.tell)?;
    for _ in 0..writes {
        writer.write()?;
    }
    mover.stop()?;
    drop(writer);
    let replayed = log.replay(&[(*r).clone(), Mapped::at("main")?, spare])?;
    assert!(replayed.points >= writes, "too few points");
    Ok(())
}

/// A write that relocates its unit is acknowledged when its commit is durable, however long that
/// takes. Meanwhile other writes are made, and the power may be lost after each of them.
fn acknowledged_after_its_commit() -> Result<()> {
    let log = Logged::new(64)?;
    // Writes to both metadata regions can be held; the second region is at the end of the spare.
    let regions = [
        Gate::new("first", &log.lw, LOGGED_MAIN, REGION)?,
        Gate::new("second", &log.lw, LOGGED_MAIN + SPARE - REGION, REGION)?,
    ];
    let spare = Mapped::create(
        "spare",
        "0 2048 linear /dev/mapper/first 0\n\
         2048 12288 linear /dev/mapper/lw 133120\n\
         14336 2048 linear /dev/mapper/second 0",
    )?;
    let r = Remap::create("0 131072 remap /dev/mapper/main 0 /dev/mapper/spare 0 16384")?;
    let mut others = Writer::new(r.path(), 2000..2011, &log.tell)?;
    for unit in GOOD.end..GOOD.end + 3 {
        regions.iter().try_for_each(Gate::hold_writes_of_data)?;
        let mut writer = Writer::new(r.path(), unit..=unit, &log.tell)?;
        let write = beside(move || writer.write());
        // A commit goes to both regions at once.
        until(|| Ok(regions[0].held()?.writes + regions[1].held()?.writes == 2))?;
        for _ in 0..20 {
            others.write()?;
        }
        assert!(!write.has_ended(), "acknowledged before its commit");
        regions.iter().try_for_each(Gate::open)?;
        write.end()?;
    }
    assert_eq!(r.used()?, "3/1536");
    drop(others);
    let [first, second] = regions.map(|region| (*region).clone());
    let replayed = log.replay(&[(*r).clone(), Mapped::at("main")?, spare, first, second])?;
    assert!(replayed.points >= 60, "too few points");
    Ok(())
}

/// Main disappears before the spare, repeatedly, while units are written and relocated.
fn main_goes_before_the_spare() -> Result<()> {
    const MAIN: &str = "0 131072 linear /dev/disk 0";
    const LOW: &str = "0 32768 linear /dev/low 0";
    const TABLE: &str = "0 131072 remap /dev/mapper/main 0 /dev/mapper/spare 0 32768 3 breaker 0 0";
    module::load_ours()?;
    let disk = NullDisk::new("disk", 64)?;
    NullDisk::new("low", 16)?;
    disk.bad(8000..=8511)?;
    let main = Mapped::create("main", MAIN)?;
    let spare = Mapped::create("spare", LOW)?;
    for round in 1..=4 {
        let r = Remap::create(TABLE)?;
        r.wipe(WRITTEN.start * UNIT, (WRITTEN.end - WRITTEN.start) * UNIT)?;
        let story = Story::default();
        let mut writer = Writer::new(r.path(), WRITTEN, &story.tell())?;
        // After some time, no unit can be written or relocated.
        let writer = Ongoing::start(move || {
            let _ = writer.write();
            Ok(())
        });
        let moved = r.clone();
        let mover = Ongoing::start(move || {
            let _ = move_units(&moved);
            Ok(())
        });
        until(|| Ok(story.text().matches("ack").count() >= 30))?;
        main.replace("0 131072 error")?;
        // No request after this point may give up data.
        for unit in GOOD.step_by(7) {
            let _ = r.message(&format!("remap {} {} lossy", unit * UNIT, 7 * UNIT));
        }
        spare.replace("0 32768 error")?;
        writer.stop()?;
        mover.stop()?;
        r.remove()?;
        main.replace(MAIN)?;
        spare.replace(LOW)?;
        let r = Remap::create(TABLE)?;
        let known = Known::of(&story.text())?;
        known
            .check_all(&mut Units::of(r.path())?)
            .with_context(|| format!("round {round}"))?;
        assert_eq!(r.status()?.lost_blocks, 0);
        r.remove()?;
    }
    Ok(())
}

/// A log in the memory of the test.
#[derive(Clone, Default)]
struct Story(Arc<Mutex<String>>);

impl Story {
    fn tell(&self) -> Tell {
        let story = self.clone();
        Arc::new(move |line| {
            let mut text = story.0.lock().unwrap_or_else(PoisonError::into_inner);
            *text += line;
            *text += "\n";
            Ok(())
        })
    }

    fn text(&self) -> String {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.clone()
    }
}

fn killed_under_load() -> Result<()> {
    Mapped::create("main", &with_bad_units("/dev/disk0"))?;
    killed("/dev/mapper/main")
}

fn killed_under_load_on_scsi_disks() -> Result<()> {
    killed("/dev/disk0")
}

/// The guest is killed repeatedly, while the array is activated or while units are written and
/// relocated. Each time the array must be whole, and hold the acknowledged data and the data found
/// the time before.
fn killed(main: &str) -> Result<()> {
    let story = match host::boot() {
        1 => String::new(),
        _ => host::remembered()?,
    };
    let is_over = u64::from(host::boot()) > amount("KILLS")?;
    let dies_as_it_loads = !is_over && fastrand::u8(0..4) == 0;
    if dies_as_it_loads {
        host::cut_power(1, fastrand::u32(0..200_000))?;
        host::remember("found")?;
    }
    let r = Remap::create(&format!(
        "0 131072 remap {main} 0 /dev/disk1 0 32768 3 breaker 0 0"
    ))?;
    let known = Known::of(&story)?;
    let found = known.check_all(&mut Units::of(r.path())?)?;
    let status = r.status()?;
    assert_eq!(status.regions.to_string(), "2/2");
    // Whether a unit was relocated depends on chance.
    if is_over && status.used.of > 0 {
        eprintln!("{} units hold the acknowledged data", known.acked());
        return Ok(());
    }
    if !dies_as_it_loads {
        host::cut_power(fastrand::u32(1..60), fastrand::u32(0..10_000))?;
    }
    host::remember(&found)?;
    load(&r, known.last())
}

/// Writes and relocates units until the power is lost.
fn load(r: &Remap, last: u64) -> Result<()> {
    const WRITERS: usize = 3;
    let last = Arc::new(AtomicU64::new(last));
    let tell: Tell = Arc::new(host::remember);
    let mut load = Vec::new();
    for number in 0..WRITERS {
        let mut writer = Writer::new(r.path(), WRITTEN.skip(number).step_by(WRITERS), &tell)?;
        writer.last = last.clone();
        load.push(Ongoing::start(move || writer.write()));
    }
    let moved = r.clone();
    load.push(Ongoing::start(move || move_units(&moved)));
    load.into_iter().try_for_each(Ongoing::end)
}
