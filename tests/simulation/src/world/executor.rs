// SPDX-License-Identifier: GPL-2.0

//! The executor: the I/O of the machines, their sleeps and their waits.

use super::*;

impl World {
    pub(super) fn disk(&mut self, device: Device) -> &mut Disk {
        match device {
            Device::Main => &mut self.main,
            Device::Spare => &mut self.spare,
        }
    }

    /// Something happens; whether anything did.
    pub(super) fn advance(&mut self) -> Result<bool, String> {
        if std::mem::take(&mut self.is_power_off) {
            self.cut_power()?;
            return Ok(true);
        }
        self.end_operations()?;
        if self.engine.wants_probe() && !self.has_prober {
            self.has_prober = true;
            self.spawn(Machine::Prober(Prober::default()), 0);
        }
        for _ in 0..8 {
            let happened = match self.rng.u8(0..7) {
                0 | 1 => self.run_task()?,
                2 | 3 => self.finish_io(false),
                4 if self.chance(self.laziness) => self.finish_order()?,
                4 => false,
                5 => self.finish_quiesce() || self.finish_flush(),
                _ if self.chance(self.laziness) => self.begin_update()?,
                _ => false,
            };
            if happened {
                return Ok(true);
            }
        }
        let happened = self.run_task()?
            || self.finish_io(false)
            || self.finish_order()?
            || self.finish_quiesce()
            || self.finish_flush()
            || self.begin_update()?
            || self.finish_io(true)
            || self.let_time_pass()?;
        self.end_operations()?;
        Ok(happened)
    }

    /// Lets everything end. Where nothing happens any more, what is away comes back, and then
    /// administrators wait for what they changed.
    pub(super) fn drain(&mut self) -> Result<(), String> {
        loop {
            while self.advance()? {}
            if self.find_memory()? {
                continue;
            }
            let is_back = |id: &u64| self.requeued.iter().any(|(own, ..)| own == id);
            let is_done = self.tasks.is_empty() && self.operations.keys().all(is_back);
            let is_well = self.main.mode == Mode::Well && self.spare.mode == Mode::Well;
            if is_done {
                self.engine.hasten();
                if !self.engine.wants_update() {
                    return self.check_promises();
                }
                continue;
            }
            if is_well {
                let waits: Vec<_> = self.tasks.values().map(|task| task.waits_for).collect();
                let operations = self.operations.len();
                return Err(format!("{operations} operations never end: {waits:?}"));
            }
            self.note_outage();
            self.main.mode = Mode::Well;
            self.spare.mode = Mode::Well;
        }
    }

    /// Where machines wait for memory, and nothing else happens, there is some again.
    fn find_memory(&mut self) -> Result<bool, String> {
        let waits = |task: &Task| task.waits_for == Some(Key::Memory);
        let is_short = self.tasks.values().any(waits);
        if is_short {
            if self.config.more_nodes == 0 {
                return Err("machines wait for memory for ever".into());
            }
            self.tally.shortages += 1;
            self.engine.nodes.grow(self.config.more_nodes);
            self.engine.set_short(false);
            self.after_engine()?;
        }
        Ok(is_short)
    }

    /// Whether the data of I/O fit the buffer that they are in.
    fn fits(&self, io: &Io) -> bool {
        let unit = self
            .geometry
            .sectors_of(self.geometry.unit_of(io.sectors.start));
        match io.data {
            Data::Unit | Data::Check => io.sectors.end <= unit.end,
            Data::Bio | Data::Zeroes => true,
        }
    }

    pub(super) fn pick(&mut self, len: usize) -> Option<usize> {
        (len > 0).then(|| self.rng.usize(0..len))
    }

    pub(super) fn run_task(&mut self) -> Result<bool, String> {
        let Some(at) = self.pick(self.ready.len()) else {
            return Ok(false);
        };
        let (id, event) = self.ready.swap_remove(at);
        self.step(id, event)?;
        Ok(true)
    }

    /// Has a machine go on, and does what it wants.
    pub(super) fn step(&mut self, id: u64, event: Event) -> Result<(), String> {
        let now = self.now;
        let Some(task) = self.tasks.get_mut(&id) else {
            return Ok(());
        };
        task.waits_for = None;
        let (before, position) = (task.machine.states(), task.machine.position());
        let mut is_staged = false;
        let action = match &mut task.machine {
            Machine::Request(request) => request.step(&mut self.engine, event, now),
            Machine::Prober(prober) => prober.step(&mut self.engine, event, now),
            Machine::Unrelocation(back) => match back.step(&mut self.engine, event) {
                Turn::Act(action) => action,
                Turn::Ended(unrelocation::Outcome::Staged { .. }) => {
                    is_staged = true;
                    Action::End(Status::Ok)
                }
                Turn::Ended(unrelocation::Outcome::Stays(_)) => Action::End(Status::IoErr),
            },
            Machine::Finding(finding) => match finding.step(&mut self.engine) {
                Turn::Act(action) => action,
                Turn::Ended(_) => Action::End(Status::Ok),
            },
            Machine::Relocation(relocation) => {
                match relocation.step(&mut self.engine, event, now) {
                    Turn::Act(action) => action,
                    Turn::Ended(relocation::Outcome::Staged { .. }) => {
                        is_staged = true;
                        Action::End(Status::Ok)
                    }
                    Turn::Ended(relocation::Outcome::Stays(_)) => Action::End(Status::IoErr),
                }
            }
        };
        let after = task.machine.states();
        for ((machine, from), (other, to)) in before.into_iter().zip(after) {
            if machine != other || machine.is_empty() {
                continue;
            }
            // Between two pieces a request chooses.
            let between = match machine {
                "Request" if task.machine.position() != position => Some("Choosing"),
                _ => None,
            };
            for (from, to) in [(from, between.unwrap_or(to)), (between.unwrap_or(from), to)] {
                *self.coverage.entry((machine, from, to)).or_default() += 1;
            }
        }
        // An administrator may move other units before the commit is waited for.
        if is_staged && self.rng.bool() {
            self.engine.hasten();
        }
        self.trace(|| format!("task {id}: {event:?} -> {action:?}"));
        match action {
            Action::Io(io) if !self.fits(&io) => return Err(format!("{io:?} is too large")),
            Action::Io(io) if !self.has_buffers(id, &io) => {}
            Action::Io(io) => {
                let section = if io.is_mapped {
                    self.begin_section()
                } else {
                    None
                };
                self.begin_io(Who::Task(id), io, section);
            }
            Action::Compare(_) => {
                let is_alike = self
                    .tasks
                    .get(&id)
                    .is_some_and(|task| task.unit == task.check);
                let done = if is_alike {
                    Ok(())
                } else {
                    Err(Status::Medium)
                };
                self.ready.push((id, Event::Io(done)));
            }
            Action::Sleep(wait) => self.sleeping.push((now + u64::from(wait), id)),
            Action::Quiesce => {
                self.put_buffers(id);
                self.quiescing.push((id, self.sections.clone()));
            }
            Action::Wait(key) => {
                if key != Key::Probe {
                    self.put_buffers(id);
                }
                if let Some(task) = self.tasks.get_mut(&id) {
                    task.waits_for = Some(key);
                }
            }
            Action::End(status) => self.end_task(id, status),
        }
        self.after_engine()
    }

    pub(super) fn end_task(&mut self, id: u64, status: Status) {
        self.put_buffers(id);
        let Some(task) = self.tasks.remove(&id) else {
            return;
        };
        match task.machine {
            Machine::Request(request) if status == Status::DmRequeue => {
                let kind = self.operations.get(&task.operation).map(|own| own.kind);
                if let Some(kind) = kind {
                    self.requeued
                        .push((task.operation, kind, request.sectors()));
                }
            }
            Machine::Request(_) => {
                let done = if status == Status::Ok {
                    Ok(())
                } else {
                    Err(status)
                };
                self.end_part(task.operation, done);
            }
            Machine::Prober(_) => self.has_prober = false,
            Machine::Relocation(_) | Machine::Unrelocation(_) | Machine::Finding(_) => {}
        }
    }

    /// Does what is to be done whenever the engine was called.
    pub(super) fn after_engine(&mut self) -> Result<(), String> {
        self.publish();
        self.check_replica()?;
        let wakes = self.engine.take_wakes();
        for (&id, task) in &mut self.tasks {
            if task.waits_for.is_some_and(|key| wakes.wakes(key)) {
                task.waits_for = None;
                self.ready.push((id, Event::Woken));
            }
        }
        self.heed()
    }

    pub(super) fn publish(&mut self) {
        let published = &mut self.published;
        self.engine.publish(|publication, _| {
            // A replica that repeats the changes that it is told of is as the map.
            if let Some(changed) = publication.changed {
                self.replica.retain(|unit, _| !changed.contains(unit));
                let entries = changed
                    .iter()
                    .filter_map(|&unit| Some((unit, publication.map.get(unit)?)));
                self.replica.extend(entries);
            } else {
                self.replica = publication.map.iter_from(Unit(0)).collect();
            }
            *published = publication.map.clone();
            true
        });
    }

    /// Whether the replica is as the map that is published.
    fn check_replica(&self) -> Result<(), String> {
        let published = self.published.iter_from(Unit(0));
        match published.eq(self.replica.iter().map(|(&unit, &entry)| (unit, entry))) {
            true => Ok(()),
            false => Err("a replica differs from the map".into()),
        }
    }

    pub(super) fn data_of(&self, pending: &Pending) -> Vec<Sector> {
        let io = &pending.io;
        let operation = match pending.who {
            Who::Fast(id) => id,
            Who::Task(id) => self.tasks.get(&id).map_or(0, |task| task.operation),
        };
        let value = self.operations.get(&operation).map_or(0, |own| own.value);
        let task = match pending.who {
            Who::Fast(_) => None,
            Who::Task(id) => self.tasks.get(&id),
        };
        let unit_sectors = self.geometry.unit_sectors();
        io.sectors
            .clone()
            .map(|sector| match io.data {
                Data::Bio => Sector::Value(value),
                Data::Unit => task
                    .and_then(|task| task.unit.get((sector % unit_sectors) as usize))
                    .cloned()
                    .unwrap_or(Sector::Value(u64::MAX)),
                Data::Check => Sector::Value(u64::MAX),
                Data::Zeroes => Sector::Value(0),
            })
            .collect()
    }

    pub(super) fn begin_io(&mut self, who: Who, io: Io, section: Option<u64>) {
        let is_slow = self.chance(self.slowness);
        self.ios.push(Pending {
            who,
            io,
            section,
            is_slow,
        });
    }

    /// Ends I/O that is slow, or some that is not.
    pub(super) fn finish_io(&mut self, is_slow: bool) -> bool {
        let matching = |(at, io): (usize, &Pending)| (io.is_slow == is_slow).then_some(at);
        let candidates: Vec<usize> = self.ios.iter().enumerate().filter_map(matching).collect();
        let Some(at) = self.pick(candidates.len()) else {
            return false;
        };
        let pending = self.ios.swap_remove(candidates[at]);
        if let Some(section) = pending.section {
            self.sections.remove(&section);
        }
        let is_durable = matches!(pending.who, Who::Task(_));
        let failure = match pending.who {
            Who::Task(_) => self.next_failure(),
            Who::Fast(_) => None,
        };
        let done = match pending.io.verb {
            _ if matches!(failure, Some(Failure::Medium)) => Err(Status::Medium),
            _ if matches!(failure, Some(Failure::Path)) => Err(Status::Transport),
            Verb::Read => {
                let range = pending.io.at..pending.io.at + sectors(&pending.io);
                let read = self.disk(pending.io.device).read(range);
                read.map(|found| self.give(&pending, &found))
            }
            Verb::Write => {
                let data = self.data_of(&pending);
                let at = pending.io.at;
                self.disk(pending.io.device).write(at, &data, is_durable)
            }
            Verb::Discard => {
                let zeroes = vec![Sector::Value(0); sectors(&pending.io) as usize];
                let at = pending.io.at;
                self.disk(pending.io.device).write(at, &zeroes, false)
            }
        };
        let done = match failure {
            Some(Failure::Lost) => Err(Status::IoErr),
            _ => done,
        };
        if done == Err(Status::Transport) || failure.is_some() {
            self.note_outage();
        }
        self.trace(|| format!("{:?} -> {done:?}", pending.io));
        match pending.who {
            Who::Task(id) => self.ready.push((id, Event::Io(done))),
            Who::Fast(id) => self.finish_fast(id, &pending.io, done),
        }
        true
    }

    /// The end of I/O on the fast path.
    pub(super) fn finish_fast(&mut self, id: u64, io: &Io, done: Result<(), Status>) {
        let Some(kind) = self.operations.get(&id).map(|operation| operation.kind) else {
            return;
        };
        match done {
            Err(status) if is_bad_sector(status) && kind != Kind::Discard => {
                self.defer(id, kind, io.sectors.clone(), true);
            }
            done => self.end_part(id, done),
        }
    }

    /// Gives data that were read to whom they belong.
    pub(super) fn give(&mut self, pending: &Pending, found: &[Sector]) {
        let io = &pending.io;
        let unit_sectors = self.geometry.unit_sectors();
        let operation = match pending.who {
            Who::Fast(id) => id,
            Who::Task(id) => {
                let Some(task) = self.tasks.get_mut(&id) else {
                    return;
                };
                let buffer = match io.data {
                    Data::Unit => &mut task.unit,
                    _ => &mut task.check,
                };
                if io.data != Data::Bio {
                    for (sector, content) in io.sectors.clone().zip(found) {
                        buffer[(sector % unit_sectors) as usize] = content.clone();
                    }
                }
                task.operation
            }
        };
        let Some(operation) = self.operations.get_mut(&operation) else {
            return;
        };
        if io.data == Data::Bio {
            for (sector, content) in io.sectors.clone().zip(found) {
                let at = (sector - operation.sectors.start) as usize;
                operation.found[at] = match content {
                    Sector::Value(value) => *value,
                    Sector::Bytes(_) => u64::MAX,
                };
            }
        }
    }

    /// What is to go wrong with the next I/O of the engine.
    pub(super) fn next_failure(&mut self) -> Option<Failure> {
        let number = self.engine_ios;
        self.engine_ios += 1;
        let (_, failure) = self.failing_io.take_if(|(at, _)| *at == number)?;
        if failure == Failure::PowerCut {
            self.is_power_off = true;
        }
        Some(failure)
    }

    pub(super) fn finish_quiesce(&mut self) -> bool {
        let Some(at) = self.pick(self.quiescing.len()) else {
            return false;
        };
        let (id, sections) = &self.quiescing[at];
        if !sections.is_disjoint(&self.sections) {
            return false;
        }
        self.ready.push((*id, Event::Quiesced));
        self.quiescing.swap_remove(at);
        true
    }

    pub(super) fn finish_flush(&mut self) -> bool {
        let Some(begun) = self.flushes.pop() else {
            return false;
        };
        let main = self.main.flush();
        let spare = self.spare.flush();
        if main.and(spare).is_ok() {
            self.oracle.flushed(begun);
        }
        true
    }

    /// Takes note of what the writer of the metadata does now, which did `before`.
    fn cover_writer(&mut self, before: &'static str) {
        let transition = ("Writer", before, self.engine.writing());
        *self.coverage.entry(transition).or_default() += 1;
    }

    pub(super) fn begin_update(&mut self) -> Result<bool, String> {
        if self.is_updating || !self.engine.wants_update() {
            return Ok(false);
        }
        let before = self.engine.writing();
        if self.engine.begin_update(Standing::default()) {
            self.cover_writer(before);
            self.is_updating = true;
            self.tally.updates += 1;
            self.promises.updates += 1;
            let losses = match self.engine.writing() {
                "Checkpoint" => {
                    self.promises.checkpoints += 1;
                    self.config.lost_checkpoints
                }
                _ => self.config.lost_commits,
            };
            if self.chance(losses) {
                self.note_outage();
                self.spare.mode = Mode::ReadOnly;
            }
            self.next_orders();
        }
        self.after_engine()?;
        Ok(true)
    }

    pub(super) fn next_orders(&mut self) {
        let before = self.engine.writing();
        let orders = self.engine.orders(&mut self.block);
        self.cover_writer(before);
        let Some(orders) = orders else {
            self.is_updating = false;
            return;
        };
        for (at, order) in orders.into_iter().enumerate() {
            if let Some(order) = order {
                let region = Region(at);
                self.engine
                    .seal(region, order, &mut self.block, crc32c::crc32c);
                self.orders.push((region, order, self.block.clone()));
            }
        }
    }

    pub(super) fn finish_order(&mut self) -> Result<bool, String> {
        let Some(at) = self.pick(self.orders.len()) else {
            return Ok(false);
        };
        let (region, order, block) = self.orders.swap_remove(at);
        let (device, start) = self.places().of(region, 0).expect("a region that there is");
        let write = |disk: &mut Disk, number, is_durable| {
            let at = start + number * BLOCK_SECTORS;
            let written = disk.write(at, &sectors_of(&block), is_durable);
            written.map_err(|_| Failed)
        };
        let failure = self.next_failure();
        let done = match order {
            _ if matches!(failure, Some(Failure::Medium | Failure::Path)) => Err(Failed),
            RegionIo::Write(number) => write(self.disk(device), number, false),
            RegionIo::WriteThrough(number) => write(self.disk(device), number, true),
            RegionIo::Flush => self.disk(device).flush().map_err(|_| Failed),
        };
        let done = match failure {
            Some(Failure::Lost) => Err(Failed),
            _ => done,
        };
        if done.is_err() {
            self.promises.failed_orders += 1;
            self.promises.updates = 0;
        }
        self.engine.note(region, done);
        if self.orders.is_empty() {
            self.next_orders();
        }
        self.after_engine()?;
        Ok(true)
    }

    /// Lets the time pass until somebody wakes.
    pub(super) fn let_time_pass(&mut self) -> Result<bool, String> {
        let Some(at) = (0..self.sleeping.len()).min_by_key(|&at| self.sleeping[at]) else {
            let Some(left) = self.engine.no_spare_deadline(self.now) else {
                return Ok(false);
            };
            self.now += left;
            self.engine.expire(self.now);
            self.after_engine()?;
            return Ok(true);
        };
        self.now = self.now.max(self.sleeping[at].0);
        // All whose time has come go on, in any order.
        let (due, left) = std::mem::take(&mut self.sleeping)
            .into_iter()
            .partition(|&(until, _)| until <= self.now);
        self.sleeping = left;
        let due: Vec<(u64, u64)> = due;
        self.ready
            .extend(due.into_iter().map(|(_, id)| (id, Event::Slept)));
        Ok(true)
    }
}
