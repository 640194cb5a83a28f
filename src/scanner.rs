// SPDX-License-Identifier: GPL-2.0

//! The thread that looks for units of main that fail, before anybody asks for them.
//!
//! It reads what the planner says, in batches, at idle priority, into memory of its own. A batch
//! that fails is read again unit by unit. A unit that fails for good becomes a suspect. One that
//! can be read, but only after some tries or slowly, is weak: it is moved to the spare while its
//! data can still be had, the way all units are moved. What slow means is the judge's to say
//! (`core/scan/judge.rs`).

use crate::{
    confirm::confirmed,
    context::Context,
    counters::Count,
    errors::bad_sector,
    layout::bytes_from,
    moment::{
        pause,
        Moment, //
    },
    published_map::Map,
    scan::{
        Scan,
        ScrubHost,
        Wanted, //
    }, //
};
use core::{
    fmt::Write,
    ops::Range, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use kernel_ext::{
    bio::{
        BioSet,
        Buffer,
        Status,
        Transfer, //
    },
    block_device::BlockDevice,
    kthread::{
        Job,
        Kthread,
        Running, //
    },
    noio::NoIo,
    text::Text, //
};
use remap_core::{
    fixed::Fixed,
    geometry::{
        Geometry,
        Unit, //
    },
    index::State,
    scan::{
        health::{
            Health,
            Spot,
            Trouble, //
        },
        judge::{
            Ask,
            Judge,
            Sample, //
        },
        pace::Pace,
        planner::{
            Known,
            Planner, //
        },
        retest::Retest,
        tries::{
            Answer,
            Tries, //
        }, //
    }, //
};

/// How many bytes are read at once.
const BATCH: usize = 256 << 10;
/// How many units a pass remembers that it has done with, as it may come by them again.
const SETTLED: usize = 64;
/// How often a unit must fail with an error that may not be the medium's to be weak when it is
/// read.
const BELIEVED: u32 = 2;
/// For how many milliseconds it waits when there is nothing to do.
const IDLE: u32 = 1000;
/// How often, at the end of a pass, it waits for the disk to be quiet: for about an hour.
const PATIENCE: u32 = 3600;
/// How many milliseconds a request that has ended may still be counted.
const SETTLE: i64 = 1;

/// Starts the thread, which begins when a table is active, or has one that waits go on. Sleeps, and
/// allocates with `GFP_KERNEL`: not while the device is suspended.
pub(crate) fn start(scan: &Arc<Scan>, host: &dyn ScrubHost) -> Result {
    if !scan.begin_start()? {
        return Ok(());
    }
    // No lock is held: whoever suspends or resumes the device takes it, and the maker of threads
    // may wait for a resume.
    let made = scan.active().map(|_| make(scan, host));
    let error = made.as_ref().and_then(|made| made.as_ref().err().copied());
    let started = scan.end_start(made);
    if let Some(error) = error {
        host.note_failed(error);
    }
    started
}

/// Starts the thread if it is to be started by itself and a table is active. Sleeps, as [`start`].
pub(crate) fn start_if_due(scan: &Arc<Scan>) {
    if let Some(host) = scan.active().filter(|_| scan.is_due()) {
        // What fails is shown by the state; it does not concern I/O.
        let _ = start(scan, &*host);
    }
}

/// Makes the thread. Sleeps.
fn make(scan: &Arc<Scan>, host: &dyn ScrubHost) -> Result<Kthread> {
    let ctx = host.ctx();
    let beginning = Beginning {
        scan: scan.clone(),
        geometry: *ctx.geometry(),
        main: ctx.main().again(),
        spare: ctx.spare().again(),
        others: others(ctx),
    };
    let (major, minor) = ctx.main().number();
    let mut name = [0; 16];
    let _ = write!(Text::new(&mut name), "remap/{major}:{minor}");
    let name = CStr::from_bytes_until_nul(&name).map_err(|_| EINVAL)?;
    Kthread::start(name, KBox::new(beginning, GFP_KERNEL)?)
}

/// What the thread begins with. It allocates the rest itself, on the node that it runs on.
struct Beginning {
    scan: Arc<Scan>,
    geometry: Geometry,
    main: BlockDevice,
    spare: BlockDevice,
    others: u64,
}

impl Job for Beginning {
    fn run(self: KBox<Self>, running: &Running) {
        let scan = self.scan.clone();
        let judge = judge(&self.geometry);
        let scanner = judge.and_then(|judge| Scanner::new(KBox::into_inner(self), judge));
        let ended = scanner.map(|mut scanner| scanner.work(running));
        scan.ended(ended);
        if let (Err(error), Some(host)) = (ended, scan.active()) {
            host.note_failed(error);
        }
    }
}

/// What the thread has.
struct Scanner {
    scan: Arc<Scan>,
    geometry: Geometry,
    main: BlockDevice,
    spare: BlockDevice,
    bios: Pin<KBox<BioSet>>,
    buffer: Buffer,
    /// None before a table is active for the first time, and knows where the last pass ended.
    planner: Option<Planner>,
    pace: Pace,
    /// What is to be read once more, since the device was suspended or failed meanwhile.
    unread: Option<Range<u64>>,
    judge: KBox<Judge>,
    tries: Tries,
    /// The suspects that are still to be read in this pass.
    retest: Option<Retest>,
    /// Units that this pass does not read again: weak ones, and those that it passed over.
    settled: Fixed<Unit, SETTLED>,
    /// How often this pass may still wait for the disk to be quiet.
    patience: u32,
    /// How many requests others had made.
    others: u64,
}

/// What others had asked of main before a read.
struct Before {
    others: u64,
    done: u64,
    in_flight: u32,
}

/// Why a batch is not done.
struct Later;

/// What the planner asks for.
struct Past<'a> {
    map: &'a Map,
    health: &'a Health<KVec<Spot>>,
}

impl Known for Past<'_> {
    fn failed(&self, from: Unit) -> Option<Unit> {
        self.map.next(from).map(|(unit, _)| unit)
    }

    fn weak(&self, last: Option<Spot>) -> Option<(Spot, Range<u64>)> {
        let spot = self.health.next_worst(last)?;
        Some((spot, self.health.units_of(spot)))
    }
}

impl Scanner {
    /// Allocates what it needs, and itself, which is large for a stack. Sleeps.
    // Not on the stack that reads stand on.
    #[inline(never)]
    fn new(beginning: Beginning, judge: KBox<Judge>) -> Result<KBox<Self>> {
        let Beginning {
            scan,
            geometry,
            main,
            spare,
            others,
        } = beginning;
        let unit_bytes = (geometry.unit_sectors() << 9) as usize;
        let retest_from = scan.state.lock().retest_from;
        let this = Self {
            scan,
            geometry,
            main,
            spare,
            bios: KBox::pin_init(BioSet::new(1), GFP_KERNEL)?,
            buffer: Buffer::zeroed(BATCH.max(unit_bytes))?,
            planner: None,
            pace: Pace::new(0),
            unread: None,
            judge,
            tries: Tries::default(),
            retest: Some(Retest::new(retest_from)),
            settled: Fixed::new(),
            patience: PATIENCE,
            others,
        };
        Ok(KBox::new(this, GFP_KERNEL)?)
    }

    /// Reads until it is not wanted any more.
    fn work(&mut self, running: &Running) {
        loop {
            let pause = match self.look() {
                Wanted::Stopped => return,
                Wanted::Paused => IDLE,
                Wanted::Running => NoIo::run(|| self.turn()),
            };
            running.sleep(pause);
        }
    }

    /// What is wanted.
    fn look(&mut self) -> Wanted {
        let state = self.scan.state.lock();
        self.pace.set_ceiling(state.ceiling.saturating_mul(1024));
        state.wanted
    }

    /// Reads something and sees to what it finds; for how many milliseconds to sleep then.
    fn turn(&mut self) -> u32 {
        let Some(host) = self.scan.active().filter(|host| host.ctx().may_scan()) else {
            return IDLE;
        };
        if !self.is_due() {
            return IDLE;
        }
        let (units, sectors) = (self.geometry.units(), self.geometry.unit_sectors());
        let begin = || Planner::new(units, sectors, host.ctx().scan_position());
        self.planner.get_or_insert_with(begin);
        let map = host.snapshot();
        let others = others(host.ctx());
        // It is not held while a device may hang.
        drop(host);
        let is_quiet = others == self.others && self.main.disk_in_flight() == 0;
        let begun = Moment::now();
        match self.step(&map, is_quiet) {
            Ok(Some(bytes)) => {
                self.pace.adapt(others.wrapping_sub(self.others));
                self.others = others;
                let pause = self.pace.pause(bytes, begun.milliseconds());
                self.scan.state.lock().rate = self.pace.rate() >> 10;
                u32::try_from(pause).unwrap_or(u32::MAX)
            }
            Ok(None) if self.is_over() => {
                self.end_pass();
                0
            }
            // What is doubtful is read when nobody else reads.
            Ok(None) => {
                self.others = others;
                self.patience -= 1;
                IDLE
            }
            Err(Later) => self.scan.state.lock().away.pause().unwrap_or(IDLE),
        }
    }

    /// Whether a pass that has read all need not wait for what is doubtful.
    fn is_over(&self) -> bool {
        self.judge.is_done() || self.judge.gives_up() || self.patience == 0
    }

    /// Reads what is to be read next, which depends on whether others leave the disk alone at the
    /// moment; how many bytes that was, if there is anything left.
    fn step(&mut self, map: &Map, is_quiet: bool) -> Result<Option<u64>, Later> {
        if let Some(unit) = self.next_suspect(map) {
            return Ok(Some(self.retest(unit)));
        }
        if is_quiet {
            let settled = &self.settled;
            let ask = self.judge.next(|units| first_known(map, settled, units));
            if let Some(ask) = ask {
                return self.measure(ask).map(Some);
            }
        }
        let mut next = self.next(map);
        if next.is_none() && is_quiet {
            next = self.judge.fill();
        }
        let Some(units) = next else {
            return Ok(None);
        };
        let read = self.read_all(map, units.clone());
        match read {
            Ok(_) => self.note_position(),
            Err(Later) => self.unread = Some(units),
        }
        read.map(Some)
    }

    /// Whether a pass is under way, which begins now if it is time.
    fn is_due(&mut self) -> bool {
        let mut state = self.scan.state.lock();
        if state.is_starting {
            return false;
        }
        if state.is_in_pass() {
            return true;
        }
        let is_due = state.until_next() == Some(0);
        if is_due {
            state.begin_pass();
            if let Some(planner) = &mut self.planner {
                planner.begin();
            }
            self.retest = Some(Retest::new(state.retest_from));
            (self.settled, self.tries) = (Fixed::new(), Tries::default());
            self.judge.begin();
            self.patience = PATIENCE;
        }
        is_due
    }

    /// The units that are read next.
    fn next(&mut self, map: &Map) -> Option<Range<u64>> {
        let most = batch(&self.geometry);
        let unread = self.unread.take();
        unread.or_else(|| {
            let state = self.scan.state.lock();
            let health = &state.health;
            self.planner.as_mut()?.next(most, &Past { map, health })
        })
    }

    fn end_pass(&mut self) {
        let mut state = self.scan.state.lock();
        state.finish_pass();
        let (pass, interval) = (state.pass, state.interval);
        let seconds = pass.and_then(|pass| pass.seconds);
        let is_late = seconds.is_some_and(|seconds| state.is_late(seconds));
        drop(state);
        let Some(host) = self.scan.active() else {
            return;
        };
        if let Some(pass) = pass {
            pr_info!(
                "{}: scanned, {} units cannot be read, {} are weak, {} were moved\n",
                host.ctx().name(),
                pass.found,
                pass.weak,
                pass.moved
            );
            if pass.passed_over > 0 {
                pr_warn!(
                    "{}: {} units were passed over, as main fails them for a reason that is not the medium's\n",
                    host.ctx().name(),
                    pass.passed_over
                );
            }
        }
        if is_late {
            pr_warn!(
                "{}: the scan took longer than its interval of {} seconds\n",
                host.ctx().name(),
                interval
            );
        }
        host.ctx().lookup.count(Count::ScanPasses);
        host.ctx().set_scan_position(0);
        host.note_change();
    }

    fn note_position(&self) {
        let Some(planner) = &self.planner else {
            return;
        };
        let position = planner.position().0;
        self.scan.state.lock().position = position;
        if let Some(host) = self.scan.active() {
            host.ctx().set_scan_position(position);
        }
    }

    /// Reads these units, wherever they are; how many bytes that was.
    fn read_all(&mut self, map: &Map, units: Range<u64>) -> Result<u64, Later> {
        let (mut at, mut bytes) = (units.start, 0);
        while at < units.end {
            let known = first_known(map, &self.settled, at..units.end);
            let free = known.map_or(units.end, |unit| unit.0);
            if at < free {
                bytes += self.read_run(at..free)?;
            }
            at = free;
            if let Some(unit) = known {
                if let Some(entry) = map.get(unit) {
                    bytes += self.read_known(unit, entry.state);
                }
                at += 1;
            }
        }
        Ok(bytes)
    }

    /// Reads units that are on main, one by one if there is something about them.
    fn read_run(&mut self, units: Range<u64>) -> Result<u64, Later> {
        let (read, bytes) = self.read_main(units.clone(), Transfer::IdleRead);
        match read {
            Ok(sample) => self.judge.passed(units, sample),
            Err(status) => self.failed(units, status)?,
        }
        Ok(bytes)
    }

    /// Reads what the judge asks for; how many bytes that was.
    fn measure(&mut self, ask: Ask) -> Result<u64, Later> {
        let (read, bytes) = self.read_main(ask.units(), Transfer::Read);
        match (read, ask) {
            (Ok(sample), _) => {
                if let Some(unit) = self.judge.measured(sample) {
                    self.weak(unit)?;
                }
            }
            (Err(status), Ask::Doubtful(units)) => {
                self.failed(units, status)?;
                self.judge.drop_piece();
            }
            (Err(_), Ask::Control(units)) => {
                self.judge.next_control();
                self.need_main(units.start)?;
                return Err(Later);
            }
        }
        Ok(bytes)
    }

    /// Units could not be read at once.
    fn failed(&mut self, units: Range<u64>, status: Status) -> Result<(), Later> {
        if !bad_sector(status) {
            match self.odd(&units)? {
                Answer::Again => return Err(Later),
                Answer::Singly => {}
                Answer::PassOver => {
                    self.pass_over(units);
                    return Ok(());
                }
            }
        }
        for unit in units.map(Unit) {
            self.read_singly(unit)?;
        }
        Ok(())
    }

    /// What to do about units that cannot be read for a reason that is not the medium's. While main
    /// does not work at all that says nothing of them.
    fn odd(&mut self, units: &Range<u64>) -> Result<Answer, Later> {
        self.need_main(units.start)?;
        Ok(self.tries.failed(units))
    }

    /// Has the scan wait if nothing can be read far from a unit that cannot.
    fn need_main(&mut self, unit: u64) -> Result<(), Later> {
        if !self.goes_on() {
            return Err(Later);
        }
        if !self.main_works(unit) {
            self.scan.state.lock().away.failed();
            return Err(Later);
        }
        Ok(())
    }

    /// Whether another unit can be read, far from one that cannot.
    fn main_works(&mut self, unit: u64) -> bool {
        let geometry = self.geometry;
        let mut others = geometry.far_from(Unit(unit));
        geometry.units() == 1
            || others.any(|Unit(other)| {
                let (read, _) = self.read_main(other..other + 1, Transfer::Read);
                read.is_ok()
            })
    }

    /// Leaves units that main fails for a reason that is not the medium's.
    fn pass_over(&mut self, units: Range<u64>) {
        let number = units.end - units.start;
        if number == 1 {
            // Without room for it, it may be tried once more.
            let _ = self.settled.push(Unit(units.start));
        }
        let mut state = self.scan.state.lock();
        state.health.note(Unit(units.start), Trouble::Other);
        if let Some(pass) = &mut state.pass {
            pass.passed_over = pass.passed_over.saturating_add(number);
        }
    }

    /// The next suspect that this pass reads.
    fn next_suspect(&mut self, map: &Map) -> Option<Unit> {
        let first = |from| {
            let mut entries = map.iter_from(from);
            let found = entries.find(|(_, entry)| entry.state == State::Suspect);
            found.map(|(unit, _)| unit)
        };
        let found = self.retest.as_mut()?.next(first);
        if found.is_none() {
            self.retest = None;
        }
        found
    }

    /// Reads a suspect, which is none any more if that works; how many bytes that was.
    fn retest(&mut self, unit: Unit) -> u64 {
        let (read, bytes) = self.read_main(unit.0..unit.0 + 1, Transfer::Read);
        if let Some(retest) = &mut self.retest {
            if read.is_err() {
                retest.failed();
            }
            self.scan.state.lock().retest_from = retest.position();
        }
        let active = self.scan.active().filter(|_| read.is_ok());
        if let Some(host) = active.filter(|host| host.ctx().may_scan()) {
            host.found_well(unit);
        }
        bytes
    }

    /// Reads a unit that is not on main, or is known not to be readable; what there is to be said
    /// of it is said.
    fn read_known(&mut self, unit: Unit, state: State) -> u64 {
        let State::Relocated { spare, valid } = state else {
            return 0;
        };
        if !valid.contains(self.geometry.blocks_of(unit)) {
            return 0;
        }
        let sectors = self.geometry.sectors_of(unit);
        let at = self.geometry.on_spare(spare, sectors.start);
        let bytes = bytes_from(sectors.start, &sectors);
        let (bios, buffer) = (&self.bios, &mut self.buffer);
        let read = || bios.transfer(Transfer::IdleRead, &self.spare, at, buffer, bytes.clone());
        if matches!(confirmed(read), Err(status) if bad_sector(status)) {
            if let Some(host) = self.scan.active() {
                host.ctx().tell_unreadable_spare(at);
                host.note_change();
            }
        }
        bytes.len() as u64
    }

    /// Reads units of main, and sees how long that takes and what others do meanwhile.
    fn read_main(&mut self, units: Range<u64>, how: Transfer) -> (Result<Sample, Status>, u64) {
        let first = self.geometry.sectors_of(Unit(units.start)).start;
        let end = self.geometry.sectors_of(Unit(units.end - 1)).end;
        let bytes = bytes_from(first, &(first..end));
        let at = self.geometry.on_main(first);
        let before = self.before();
        let begun = Moment::now();
        let read = self
            .bios
            .transfer(how, &self.main, at, &mut self.buffer, bytes.clone());
        let milliseconds = begun.milliseconds();
        let others = self.others_since(&before, end - first);
        let mut state = self.scan.state.lock();
        if read.is_ok() {
            state.away.is_back();
        }
        if let Some(pass) = &mut state.pass {
            pass.read(bytes.len() as u64, milliseconds);
        }
        drop(state);
        let sample = read.map(|()| Sample {
            milliseconds,
            others,
        });
        (sample, bytes.len() as u64)
    }

    /// What others have asked of main.
    ///
    /// That is what passes through the device, as it is mapped, and what the disk under main is
    /// asked for past it. Not seen are others if main is a device without counts, or with
    /// `queue/iostats` off, and those who use the disks under a main that is itself made of others,
    /// past that.
    fn before(&self) -> Before {
        let active = self.scan.active();
        Before {
            others: active.map_or(0, |host| others(host.ctx())),
            done: self.main.disk_done(),
            in_flight: self.main.disk_in_flight(),
        }
    }

    /// What others asked of main during a read of `own` sectors: requests, or sectors where only
    /// those are counted.
    fn others_since(&self, before: &Before, own: u64) -> u64 {
        let Some(host) = self.scan.active() else {
            return u64::MAX;
        };
        let mapped = others(host.ctx()).wrapping_sub(before.others);
        let done = self.main.disk_done().wrapping_sub(before.done);
        let mut in_flight = self.main.disk_in_flight();
        if in_flight > 0 {
            // What was just read may be counted until the driver has seen to the rest of it.
            pause(SETTLE);
            in_flight = self.main.disk_in_flight();
        }
        let on_disk = u64::from(before.in_flight.saturating_add(in_flight));
        mapped
            .saturating_add(done.saturating_sub(own))
            .saturating_add(on_disk)
    }

    /// Finds out what there is about one unit.
    fn read_singly(&mut self, unit: Unit) -> Result<(), Later> {
        if !self.goes_on() {
            return Err(Later);
        }
        let units = unit.0..unit.0 + 1;
        let status = match self.read_main(units.clone(), Transfer::IdleRead).0 {
            Ok(sample) => {
                self.judge.passed(units, sample);
                return Ok(());
            }
            Err(status) => status,
        };
        let mut is_mediums = status == Status::MEDIUM;
        // Another error may be the path's, and is not believed if it comes once, nor while all else
        // fails too.
        let mut failed = u32::from(bad_sector(status));
        let main_works = is_mediums || failed == 0 || self.main_works(unit.0);
        let again = || {
            let read = self.read_main(units.clone(), Transfer::Read).0;
            if let Err(status) = read {
                is_mediums |= status == Status::MEDIUM;
                failed += u32::from(bad_sector(status));
            }
            read.map(|_| ())
        };
        match confirmed(again) {
            Ok(()) if is_mediums || main_works && failed >= BELIEVED => self.weak(unit),
            Ok(()) => {
                self.judge.doubt(units);
                Ok(())
            }
            Err(status) if bad_sector(status) => self.bad(unit),
            Err(_) => {
                self.odd(&units)?;
                self.pass_over(units);
                Ok(())
            }
        }
    }

    /// Whether it is still wanted and allowed to read.
    fn goes_on(&self) -> bool {
        let is_wanted = self.scan.state.lock().wanted == Wanted::Running;
        let active = self.scan.active();
        is_wanted && active.is_some_and(|host| host.ctx().may_scan())
    }

    /// There is trouble with `unit`, so what is near it is read next.
    fn found(&mut self, unit: Unit, trouble: Trouble) {
        if let Some(planner) = &mut self.planner {
            planner.found(unit);
        }
        self.scan.state.lock().health.note(unit, trouble);
    }

    /// A unit cannot be read.
    fn bad(&mut self, unit: Unit) -> Result<(), Later> {
        let host = self.scan.active().ok_or(Later)?;
        let is_new = host.found_unreadable(unit);
        if host.ctx().is_tripped() {
            return Err(Later);
        }
        self.found(unit, Trouble::Unreadable);
        if is_new {
            host.ctx().lookup.count(Count::ScanFound);
            if let Some(pass) = &mut self.scan.state.lock().pass {
                pass.found += 1;
            }
        }
        Ok(())
    }

    /// A unit can be read, but not easily.
    fn weak(&mut self, unit: Unit) -> Result<(), Later> {
        let Some(host) = self.scan.active() else {
            self.judge.doubt(unit.0..unit.0 + 1);
            return Err(Later);
        };
        host.ctx().lookup.count(Count::ScanWeak);
        let is_proactive = self.scan.state.lock().is_proactive;
        let moved = host.found_weak(unit, is_proactive);
        self.found(unit, Trouble::Weak);
        // One for which there is no room may be counted once more.
        let _ = self.settled.push(unit);
        if let Some(pass) = &mut self.scan.state.lock().pass {
            pass.weak += 1;
            pass.moved += u64::from(moved);
        }
        Ok(())
    }
}

/// How many requests others have made.
fn others(ctx: &Context) -> u64 {
    let sum = |count| ctx.lookup.counters.sum(count);
    sum(Count::Reads).wrapping_add(sum(Count::Writes))
}

/// Allocates the judge, which is large for a stack. Sleeps.
#[inline(never)]
fn judge(geometry: &Geometry) -> Result<KBox<Judge>> {
    let judge = Judge::new(geometry.units(), geometry.unit_sectors(), batch(geometry));
    Ok(KBox::new(judge, GFP_KERNEL)?)
}

/// How many units are read at once.
fn batch(geometry: &Geometry) -> u64 {
    (BATCH as u64 >> 9) / geometry.unit_sectors()
}

/// The first of some units that has an entry, or is settled.
fn first_known(map: &Map, settled: &Fixed<Unit, SETTLED>, units: Range<u64>) -> Option<Unit> {
    let entry = map.next(Unit(units.start)).map(|(unit, _)| unit);
    let settled = settled.iter().filter(|unit| units.contains(&unit.0));
    let settled = settled.min_by_key(|unit| unit.0).copied();
    let first = match (entry, settled) {
        (Some(a), Some(b)) => Unit(a.0.min(b.0)),
        (one, other) => one.or(other)?,
    };
    units.contains(&first.0).then_some(first)
}
