// SPDX-License-Identifier: GPL-2.0

//! The thread that looks for units of main that fail, before anybody asks for them.
//!
//! It reads what the planner says, in batches, at idle priority, into memory of its own. A batch that fails, or that
//! is slow, is read again unit by unit. A unit that fails for good becomes a suspect. One that can be read, but
//! only after some tries or slowly, is weak: it is moved to the spare while its data can still be had, the way all
//! units are moved.

use crate::{
    counters::Count,
    errors::bad_sector,
    instance::Instance,
    moment::Moment,
    nodes::Map,
    relocate::Cause,
    repair::{
        bytes_from,
        Repair, //
    },
    retry::confirmed,
    scan::{
        Scan,
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
        pace::Pace,
        planner::{
            Known,
            Planner, //
        },
        weak::Usual, //
    }, //
};

/// How many bytes are read at once.
const BATCH: usize = 256 << 10;
/// How many weak units that stay where they are a pass remembers, as it may read them again.
const KNOWN: usize = 64;
/// For how many milliseconds it waits when there is nothing to do.
const IDLE: u32 = 1000;

/// Starts the thread. Sleeps.
pub(crate) fn start(scan: &Arc<Scan>, instance: &Instance) -> Result<Kthread> {
    let beginning = Beginning {
        scan: scan.clone(),
        geometry: *instance.geometry(),
        main: instance.main().again(),
        spare: instance.spare().again(),
        others: others(instance),
    };
    let (major, minor) = instance.main().number();
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
        let ended = Scanner::new(KBox::into_inner(self)).map(|mut scanner| scanner.work(running));
        scan.ended(ended);
        if let (Err(error), Some(instance)) = (ended, scan.active()) {
            instance.note_scan_failed(error);
            instance.tell_changes();
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
    /// None before the instance is active for the first time, and knows where the last pass ended.
    planner: Option<Planner>,
    pace: Pace,
    /// What is to be read once more, since the device was suspended or failed meanwhile.
    unread: Option<Range<u64>>,
    /// How long batches take, and single units.
    batches: Usual,
    singles: Usual,
    /// Weak units that this pass knows of.
    known_weak: Fixed<Unit, KNOWN>,
    /// How many requests others had made.
    others: u64,
}

/// How a read went.
enum Outcome {
    Well,
    Slow,
    Failed(Status),
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
    /// Allocates what it needs. Sleeps.
    fn new(beginning: Beginning) -> Result<Self> {
        let Beginning {
            scan,
            geometry,
            main,
            spare,
            others,
        } = beginning;
        let unit_bytes = (geometry.unit_sectors() << 9) as usize;
        Ok(Self {
            scan,
            geometry,
            main,
            spare,
            bios: KBox::pin_init(BioSet::new(1), GFP_KERNEL)?,
            buffer: Buffer::zeroed(BATCH.max(unit_bytes))?,
            planner: None,
            pace: Pace::new(0),
            unread: None,
            batches: Usual::default(),
            singles: Usual::default(),
            known_weak: Fixed::new(),
            others,
        })
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

    /// Reads a batch and sees to what it finds; for how many milliseconds to sleep then.
    fn turn(&mut self) -> u32 {
        let Some(instance) = self.scan.active().filter(|instance| instance.may_scan()) else {
            return IDLE;
        };
        if !self.is_due() {
            return IDLE;
        }
        let (units, sectors) = (self.geometry.units(), self.geometry.unit_sectors());
        let begin = || Planner::new(units, sectors, instance.scan_position());
        self.planner.get_or_insert_with(begin);
        let map = instance.repair.lock().map.clone();
        let others = others(&instance);
        // It is not held while a device may hang.
        drop(instance);
        let Some(units) = self.next(&map) else {
            self.end_pass();
            return 0;
        };
        let begun = Moment::now();
        match self.read_all(&map, units.clone()) {
            Ok(bytes) => {
                self.note_position();
                self.pace.adapt(others.wrapping_sub(self.others));
                self.others = others;
                let pause = self.pace.pause(bytes, begun.milliseconds());
                self.scan.state.lock().rate = self.pace.rate() >> 10;
                u32::try_from(pause).unwrap_or(u32::MAX)
            }
            Err(Later) => {
                self.unread = Some(units);
                IDLE
            }
        }
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
            self.known_weak = Fixed::new();
        }
        is_due
    }

    /// The units that are read next.
    fn next(&mut self, map: &Map) -> Option<Range<u64>> {
        let most = (BATCH as u64 >> 9) / self.geometry.unit_sectors();
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
        let Some(instance) = self.scan.active() else {
            return;
        };
        if let Some(pass) = pass {
            pr_info!(
                "{}: scanned, {} units cannot be read, {} are weak, {} were moved\n",
                instance.name(),
                pass.found,
                pass.weak,
                pass.moved
            );
        }
        if is_late {
            pr_warn!(
                "{}: the scan took longer than its interval of {} seconds\n",
                instance.name(),
                interval
            );
        }
        count(&instance, Count::ScanPasses);
        instance.set_scan_position(0);
        instance.repair.lock().note_change();
        instance.tell_changes();
    }

    fn note_position(&self) {
        let Some(planner) = &self.planner else {
            return;
        };
        let position = planner.position().0;
        self.scan.state.lock().position = position;
        if let Some(instance) = self.scan.active() {
            instance.set_scan_position(position);
        }
    }

    /// Reads these units, wherever they are; how many bytes that was.
    fn read_all(&mut self, map: &Map, units: Range<u64>) -> Result<u64, Later> {
        let (mut at, mut bytes) = (units.start, 0);
        while at < units.end {
            let entry = map.next(Unit(at)).filter(|(unit, _)| unit.0 < units.end);
            let free = entry.map_or(units.end, |(unit, _)| unit.0);
            if at < free {
                bytes += self.read_run(at..free)?;
            }
            at = free;
            if let Some((unit, entry)) = entry {
                bytes += self.read_known(unit, entry.state);
                at += 1;
            }
        }
        Ok(bytes)
    }

    /// Reads units that are on main, one by one if there is something about them.
    fn read_run(&mut self, units: Range<u64>) -> Result<u64, Later> {
        let (outcome, bytes) = self.read_main(units.clone());
        if matches!(outcome, Outcome::Well) {
            return Ok(bytes);
        }
        for unit in units.map(Unit) {
            self.judge(unit)?;
        }
        Ok(2 * bytes)
    }

    /// Reads a unit that is not on main, or is known not to be readable; what there is to be said of it is said.
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
            if let Some(instance) = self.scan.active() {
                instance.tell_unreadable_spare(at);
                instance.repair.lock().note_change();
                instance.tell_changes();
            }
        }
        bytes.len() as u64
    }

    /// Reads units of main, and counts how long it took.
    fn read_main(&mut self, units: Range<u64>) -> (Outcome, u64) {
        let is_single = units.end - units.start == 1;
        let first = self.geometry.sectors_of(Unit(units.start)).start;
        let end = self.geometry.sectors_of(Unit(units.end - 1)).end;
        let bytes = bytes_from(first, &(first..end));
        let at = self.geometry.on_main(first);
        let begun = Moment::now();
        let idle = Transfer::IdleRead;
        let read = self
            .bios
            .transfer(idle, &self.main, at, &mut self.buffer, bytes.clone());
        let took = begun.milliseconds();
        if let Some(pass) = &mut self.scan.state.lock().pass {
            pass.read(bytes.len() as u64, took);
        }
        let usual = match is_single {
            true => &mut self.singles,
            false => &mut self.batches,
        };
        let outcome = match read {
            Err(status) => Outcome::Failed(status),
            Ok(()) if usual.is_slow(took) => Outcome::Slow,
            Ok(()) => Outcome::Well,
        };
        (outcome, bytes.len() as u64)
    }

    /// Finds out what there is about one unit.
    fn judge(&mut self, unit: Unit) -> Result<(), Later> {
        if !self.goes_on() {
            return Err(Later);
        }
        let units = unit.0..unit.0 + 1;
        let is_weak = match self.read_main(units.clone()).0 {
            Outcome::Well => return Ok(()),
            Outcome::Slow => matches!(self.read_main(units).0, Outcome::Slow),
            Outcome::Failed(_) => {
                let again = || match self.read_main(units.clone()).0 {
                    Outcome::Failed(status) => Err(status),
                    Outcome::Well | Outcome::Slow => Ok(()),
                };
                match confirmed(again) {
                    Ok(()) => true,
                    Err(status) if bad_sector(status) => return self.bad(unit),
                    Err(_) => return Err(Later),
                }
            }
        };
        match is_weak && !self.known_weak.iter().any(|&known| known == unit) {
            true => self.weak(unit),
            false => Ok(()),
        }
    }

    /// Whether it is still wanted and allowed to read.
    fn goes_on(&self) -> bool {
        let is_wanted = self.scan.state.lock().wanted == Wanted::Running;
        let active = self.scan.active();
        is_wanted && active.is_some_and(|instance| instance.may_scan())
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
        let instance = self.scan.active().ok_or(Later)?;
        let sector = instance.geometry().sectors_of(unit).start;
        let is_new = instance
            .repair
            .lock()
            .find_unreadable(&instance, unit, sector);
        instance.tell_changes();
        if instance.is_tripped() {
            return Err(Later);
        }
        self.found(unit, Trouble::Unreadable);
        if is_new {
            count(&instance, Count::ScanFound);
            if let Some(pass) = &mut self.scan.state.lock().pass {
                pass.found += 1;
            }
        }
        Ok(())
    }

    /// A unit can be read, but not easily.
    fn weak(&mut self, unit: Unit) -> Result<(), Later> {
        let instance = self.scan.active().ok_or(Later)?;
        count(&instance, Count::ScanWeak);
        let is_proactive = self.scan.state.lock().is_proactive;
        let mut repair = instance.repair.lock();
        let moved = is_proactive && repair.move_weak(&instance, unit);
        repair.note_change();
        drop(repair);
        if moved {
            count(&instance, Count::ScanMoved);
        }
        instance.tell_changes();
        self.found(unit, Trouble::Weak);
        // One for which there is no room may be counted once more.
        let _ = self.known_weak.push(unit);
        if let Some(pass) = &mut self.scan.state.lock().pass {
            pass.weak += 1;
            pass.moved += u64::from(moved);
        }
        Ok(())
    }
}

/// How many requests others have made.
fn others(instance: &Instance) -> u64 {
    let sum = |count| instance.counters.sum(count);
    sum(Count::Reads).wrapping_add(sum(Count::Writes))
}

/// Counts one more. What the metadata say there was may be as much as there can be.
fn count(instance: &Instance, what: Count) {
    if instance.counters.sum(what) < u64::MAX {
        instance.counters.add(what, 1);
    }
}

impl Repair {
    /// Makes a unit a suspect that the scan could not read; whether it was none. May sleep.
    fn find_unreadable(&mut self, instance: &Instance, unit: Unit, sector: u64) -> bool {
        let before = self.suspects;
        let is_on_main = self.state(unit) == State::Main;
        // A disk on which nothing can be read has no bad units.
        if instance.may_scan() && is_on_main && self.probe(instance, unit) {
            self.suspect(instance, unit, sector);
        }
        self.suspects != before
    }

    /// Moves a weak unit to the spare, if nothing speaks against it and all of it can be read; whether it was.
    /// Sleeps.
    fn move_weak(&mut self, instance: &Instance, unit: Unit) -> bool {
        let may_move = instance.may_scan() && !instance.is_read_only();
        if !may_move || self.knows(unit) {
            return false;
        }
        let moved = self.relocate(instance, unit, None, Cause::Weak).is_ok();
        let moved = self.settle(instance).is_ok() && moved;
        let moved = moved && matches!(self.state(unit), State::Relocated { .. });
        if moved {
            instance.counters.add(Count::Relocated, 1);
        }
        moved
    }
}
