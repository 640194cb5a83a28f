// SPDX-License-Identifier: GPL-2.0

//! What clients do, on the fast path.

use super::*;

impl World {
    pub(super) fn begin_operation(&mut self) {
        if self.chance(16) {
            let begun = self.oracle.moment();
            self.flushes.push(begun);
            return;
        }
        let start = self.rng.u64(0..self.geometry.sectors());
        let longest = if self.chance(8) { 60 } else { 10 };
        let end = (start + 1 + self.rng.u64(0..longest)).min(self.geometry.sectors());
        let kind = match self.rng.u8(0..10) {
            0..=3 => Kind::Read,
            4 => Kind::WriteZeroes,
            5 if self.rng.bool() => Kind::Discard,
            _ => Kind::Write,
        };
        self.client(kind, start..end);
    }

    /// A client does something, unless a request for one of the sectors is under way.
    pub(super) fn client(&mut self, kind: Kind, sectors: Range<u64>) {
        if sectors.clone().any(|sector| self.in_use.contains(&sector)) {
            return;
        }
        self.in_use.extend(sectors.clone());
        if kind == Kind::Discard {
            self.oracle.discarded(&sectors);
        }
        let id = self.id();
        let begun = self.oracle.moment();
        self.trace(|| format!("client {id}: {kind:?} {sectors:?}"));
        let operation = Operation {
            kind,
            sectors: sectors.clone(),
            value: if kind == Kind::Write { id } else { 0 },
            found: vec![u64::MAX; (sectors.end - sectors.start) as usize],
            left: 1,
            status: Status::Ok,
            begun,
            suspects: self.suspects(&sectors),
        };
        self.operations.insert(id, operation);
        self.submit(id, kind, sectors);
        self.end_part(id, Ok(()));
    }

    /// The units of sectors that are suspects.
    fn suspects(&self, sectors: &Range<u64>) -> BTreeSet<Unit> {
        let units = sectors.clone().map(|sector| self.geometry.unit_of(sector));
        let state = |unit: &Unit| self.published.get(*unit).map(|entry| entry.state);
        units
            .filter(|unit| state(unit) == Some(State::Suspect))
            .collect()
    }

    /// The fast path: sends each part of a bio where the published map says.
    pub(super) fn submit(&mut self, id: u64, kind: Kind, sectors: Range<u64>) {
        let access = match kind {
            Kind::Read => Access::Read,
            Kind::Write | Kind::WriteZeroes => Access::Write,
            Kind::Discard => Access::Discard,
        };
        let mut at = sectors.start;
        while at < sectors.end {
            let step = plan(&self.geometry, &self.published, access, &(at..sectors.end));
            let part = at..at + step.sectors;
            at = part.end;
            if let Some(operation) = self.operations.get_mut(&id) {
                operation.left += 1;
            }
            let (device, on_device) = match step.place {
                Place::Main => (Device::Main, self.geometry.on_main(part.start)),
                Place::Spare(spare) => (Device::Spare, self.geometry.on_spare(spare, part.start)),
                Place::Lost => {
                    self.end_part(id, Err(Status::Medium));
                    continue;
                }
                Place::Refused => {
                    self.end_part(id, Err(Status::IoErr));
                    continue;
                }
                Place::Busy | Place::Repair => {
                    self.defer(id, kind, part, false);
                    continue;
                }
            };
            let section = self.begin_section();
            let io = Io {
                device,
                verb: match kind {
                    Kind::Read => Verb::Read,
                    Kind::Write | Kind::WriteZeroes => Verb::Write,
                    Kind::Discard => Verb::Discard,
                },
                at: on_device,
                sectors: part,
                data: if kind == Kind::WriteZeroes {
                    Data::Zeroes
                } else {
                    Data::Bio
                },
                is_mapped: true,
            };
            self.begin_io(Who::Fast(id), io, section);
        }
    }

    pub(super) fn begin_section(&mut self) -> Option<u64> {
        let section = self.id();
        self.sections.insert(section);
        Some(section)
    }

    pub(super) fn defer(
        &mut self,
        operation: u64,
        kind: Kind,
        sectors: Range<u64>,
        has_failed: bool,
    ) {
        let op = match kind {
            Kind::Read => Op::Read,
            Kind::Write => Op::Write,
            Kind::WriteZeroes => Op::WriteZeroes,
            Kind::Discard => Op::Discard,
        };
        let cpu = self.rng.usize(0..CPUS);
        let request = Request::new(op, sectors, has_failed, cpu);
        self.spawn(Machine::Request(request), operation);
    }

    pub(super) fn spawn(&mut self, machine: Machine, operation: u64) {
        let id = self.id();
        let unit = vec![Sector::Value(0); self.geometry.unit_sectors() as usize];
        self.tasks.insert(
            id,
            Task {
                machine,
                operation,
                check: unit.clone(),
                unit,
                waits_for: None,
                has_buffers: false,
            },
        );
        self.ready.push((id, Event::Begin));
    }

    pub(super) fn end_part(&mut self, id: u64, done: Result<(), Status>) {
        let Some(operation) = self.operations.get_mut(&id) else {
            return;
        };
        if let Err(status) = done {
            operation.status = status;
        }
        operation.left -= 1;
    }

    /// Ends the client operations of which no part is left.
    pub(super) fn end_operations(&mut self) -> Result<(), String> {
        let done = |(id, operation): (&u64, &Operation)| (operation.left == 0).then_some(*id);
        let ended: Vec<u64> = self.operations.iter().filter_map(done).collect();
        for id in ended {
            if let Some(operation) = self.operations.remove(&id) {
                for sector in operation.sectors.clone() {
                    self.in_use.remove(&sector);
                }
                self.judge(&operation).map_err(|lie| {
                    format!("{:?} of {:?}: {lie}", operation.kind, operation.sectors)
                })?;
            }
        }
        Ok(())
    }

    pub(super) fn judge(&mut self, operation: &Operation) -> Result<(), String> {
        self.tally.operations += 1;
        let sectors = &operation.sectors;
        let is_ok = operation.status == Status::Ok;
        self.tally.failed += u64::from(!is_ok);
        match (operation.kind, is_ok) {
            (Kind::Read, true) => self.oracle.read(sectors, &operation.found),
            (Kind::Read, false) if operation.begun <= self.last_outage || self.is_away() => Ok(()),
            (Kind::Read, false) if self.is_unknown(sectors) => Ok(()),
            (Kind::Read, false) => self.oracle.failed(sectors),
            (Kind::Discard, _) => Ok(()),
            (_, true) => {
                self.oracle
                    .wrote(sectors, operation.value, operation.begun, false);
                self.forget(operation);
                Ok(())
            }
            (_, false) => {
                self.tally.failed_writes += 1;
                self.oracle.may_have_written(sectors, operation.value);
                if self.config.is_unlimited && self.config.outages == 0 && self.engine.is_closed() {
                    return Err(format!("failed with {:?}", operation.status));
                }
                Ok(())
            }
        }
    }

    /// Some sectors take what they cannot give back, and nobody knows until it is read, which is
    /// done at once where a unit is a suspect.
    fn forget(&mut self, operation: &Operation) {
        for sector in operation.sectors.clone() {
            let unit = self.geometry.unit_of(sector);
            if !operation.suspects.contains(&unit)
                && self.main.is_forgetful(self.geometry.on_main(sector))
            {
                self.oracle.may_fail(&(sector..sector + 1));
            }
        }
    }

    /// Whether the content of one of the units is unknown.
    pub(super) fn is_unknown(&self, sectors: &Range<u64>) -> bool {
        let first = self.geometry.unit_of(sectors.start);
        let last = self.geometry.unit_of(sectors.end - 1);
        let mut entries = self.engine.map().iter_from(first);
        entries.any(|(unit, entry)| unit <= last && entry.gate == Gate::Unknown)
    }
}
