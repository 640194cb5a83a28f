// SPDX-License-Identifier: GPL-2.0

//! The state that the machines of an engine share, and what each of them does with it.

use super::change::Change;
use super::claim::Claim;
use super::group::Group;
use super::memory::{
    List,
    Memory,
    NodePool, //
};
use super::notice::{
    Counts,
    Notice,
    Notices, //
};
use super::probes::Probes;
use super::queue::Queue;
use super::task::Key;
use super::totals::Totals;
use super::writer::Writer;
use crate::breaker::{
    Breaker,
    Budget,
    Limit,
    Trip, //
};
use crate::geometry::{
    Geometry,
    SpareUnit,
    Unit, //
};
use crate::index::{
    Entry,
    Gate,
    Index,
    NodeAlloc,
    OutOfMemory,
    State, //
};
use crate::magazines::Magazines;
use crate::metadata::journal::Journal;
use crate::spares::Spares;
use crate::table::Policy;

/// The most suspects: a disk that fails everywhere must not fill memory.
const MAX_SUSPECTS: u64 = 1 << 16;

/// The map of an engine.
pub type Map<M> = Index<<<M as Memory>::Nodes as NodeAlloc>::Memory>;

/// What the owner of an engine does after it called a machine.
#[derive(Default)]
pub struct Wakes {
    keys: crate::fixed::Fixed<Key, 8>,
    /// More than fit.
    all: bool,
}

impl Wakes {
    pub(super) fn add(&mut self, key: Key) {
        let is_known = self.keys.iter().any(|&other| other == key);
        if !is_known && self.keys.push(key).is_err() {
            self.all = true;
        }
    }

    /// Whether nobody is to be woken.
    pub fn is_empty(&self) -> bool {
        !self.all && self.keys.is_empty()
    }

    /// Whether whoever waits for `key` is to be woken.
    pub fn wakes(&self, key: Key) -> bool {
        self.all || self.keys.iter().any(|&other| other == key)
    }
}

/// The state that all machines share.
pub struct Engine<M: Memory> {
    pub(super) geometry: Geometry,
    /// What is published: what is committed, with gates.
    pub(super) map: Map<M>,
    /// The map is not published yet as it is.
    pub(super) is_changed: bool,
    /// The units whose entries are not published yet as they are.
    pub(super) changed: List<M::Units>,
    /// So are others, for which there was no room.
    pub(super) has_more_changed: bool,
    /// Nodes for the map.
    pub nodes: M::Nodes,
    /// How many updates of the map are promised to what was begun.
    pub(super) promised: usize,
    pub(super) spares: Spares<M::Words>,
    pub(super) magazines: Magazines<M::Magazines>,
    /// Free spare units that a region of the metadata, which misses commits, has as used.
    pub(super) withheld: List<M::SpareUnits>,
    pub(super) claims: List<M::Claims>,
    /// Somebody waits for the end of any claim, and says so again when one has ended.
    pub(super) is_any_awaited: bool,
    pub(super) gathered: Group<M>,
    pub(super) written: Group<M>,
    pub(super) writer: Writer,
    pub(super) journal: Option<Journal>,
    pub(super) breaker: Breaker,
    /// How many units are being moved that the breaker will count.
    pub(super) admitted: u64,
    pub(super) probes: Probes,
    /// What a write to a suspect does.
    pub(super) policy: Policy,
    pub(super) totals: Totals,
    pub(super) is_suspended: bool,
    /// The table may write.
    pub(super) is_writable: bool,
    /// No memory was left for nodes: what is not needed is not begun.
    pub(super) is_short: bool,
    pub(super) queue: Queue,
    pub(super) counts: Counts,
    pub(super) notices: Notices,
    pub(super) wakes: Wakes,
}

/// The memory that an engine is made of.
pub struct Parts<M: Memory> {
    /// Nodes for the map.
    pub nodes: M::Nodes,
    /// Spare units.
    pub spares: Spares<M::Words>,
    /// Magazines for each CPU.
    pub magazines: Magazines<M::Magazines>,
    /// Room for withheld spare units.
    pub withheld: M::SpareUnits,
    /// Room for units that are claimed, which bounds how many are moved at once.
    pub claims: M::Claims,
    /// Room for units that change between two publications.
    pub changed: M::Units,
    /// Two groups.
    pub groups: [Group<M>; 2],
}

/// A map that is to be published.
pub struct Publication<'a, M: Memory> {
    /// The map.
    pub map: &'a Map<M>,
    /// The units whose entries are not as they were published last; none if they are too many to
    /// be known.
    pub changed: Option<&'a [Unit]>,
}

impl<M: Memory> Engine<M> {
    /// An engine without metadata.
    pub fn new(geometry: Geometry, parts: Parts<M>) -> Self {
        let [gathered, written] = parts.groups;
        Self {
            geometry,
            map: Index::new(),
            is_changed: false,
            changed: List::new(parts.changed),
            has_more_changed: false,
            nodes: parts.nodes,
            promised: 0,
            spares: parts.spares,
            magazines: parts.magazines,
            withheld: List::new(parts.withheld),
            claims: List::new(parts.claims),
            is_any_awaited: false,
            gathered,
            written,
            writer: Writer::new(),
            journal: None,
            breaker: Breaker::new(Limit::DEFAULT, Budget::Usual),
            admitted: 0,
            probes: Probes::default(),
            policy: Policy::default(),
            totals: Totals::default(),
            is_suspended: true,
            is_writable: true,
            is_short: false,
            queue: Queue::default(),
            counts: Counts::default(),
            notices: Notices::default(),
            wakes: Wakes::default(),
        }
    }

    /// The array's shape.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The map as it is to be published.
    pub fn map(&self) -> &Map<M> {
        &self.map
    }

    /// Has `publish` publish the map, if it is not published yet as it is; it says whether it did.
    pub fn publish(&mut self, publish: impl FnOnce(Publication<'_, M>, &mut M::Nodes) -> bool) {
        if !core::mem::take(&mut self.is_changed) {
            return;
        }
        let is_known = !core::mem::take(&mut self.has_more_changed);
        let publication = Publication {
            map: &self.map,
            changed: is_known.then_some(&*self.changed),
        };
        match publish(publication, &mut self.nodes) {
            true => self.changed.clear(),
            // The next call publishes it.
            false => (self.is_changed, self.has_more_changed) = (true, !is_known),
        }
    }

    /// Who is to be woken since the last call.
    pub fn take_wakes(&mut self) -> Wakes {
        core::mem::take(&mut self.wakes)
    }

    /// What was counted since the last call.
    pub fn take_counts(&mut self) -> Counts {
        core::mem::take(&mut self.counts)
    }

    /// What is to be said since the last call.
    pub fn take_notices(&mut self) -> Notices {
        core::mem::take(&mut self.notices)
    }

    pub(super) fn wake(&mut self, key: Key) {
        self.wakes.add(key);
    }

    pub(super) fn tell(&mut self, notice: Notice) {
        self.notices.add(notice);
    }

    /// Something changed that is worth an event.
    pub fn note_change(&mut self) {
        self.notices.note_change();
    }

    /// The map has to be published, and all of it may be new.
    pub(super) fn renew(&mut self) {
        (self.is_changed, self.has_more_changed) = (true, true);
    }

    /// The committed state of `unit`.
    pub fn state(&self, unit: Unit) -> State {
        self.map.get(unit).map_or(State::Main, |entry| entry.state)
    }

    /// Who may use `unit`.
    pub(super) fn gate(&self, unit: Unit) -> Gate {
        self.map.get(unit).map_or(Gate::Open, |entry| entry.gate)
    }

    /// Whether a machine is about to change `unit`.
    pub(super) fn is_claimed(&self, unit: Unit) -> bool {
        self.claims.iter().any(|claim| claim.unit == unit)
    }

    /// Claims `unit`, with memory for what is to become of it; what to wait for if that cannot be.
    pub(super) fn claim(&mut self, unit: Unit) -> Result<(), Key> {
        if self.is_claimed(unit) {
            self.hasten_unit(unit);
            return Err(Key::Unit(unit));
        }
        // One update marks the unit as busy, one says where it is then. Memory that other claims
        // hold comes back when they end.
        let updates = self.promised + 2;
        if !self.nodes.covers(&self.map, updates) {
            let may_grow = self.nodes.want(&self.map, updates);
            if self.is_short || !may_grow {
                self.hasten_all();
            }
            return Err(match self.claims.is_empty() {
                true => Key::Memory,
                false => Key::Room,
            });
        }
        if self.claims.push(Claim::of(unit)).is_err() {
            self.hasten_all();
            return Err(Key::Room);
        }
        self.promised += 2;
        Ok(())
    }

    /// Ends a claim.
    pub(super) fn end_claim(&mut self, unit: Unit) {
        if let Some(at) = self.claims.iter().position(|claim| claim.unit == unit) {
            self.claims.swap_remove(at);
            self.is_any_awaited = false;
            self.promised = self.promised.saturating_sub(2);
            self.wake(Key::Unit(unit));
            self.wake(Key::Room);
        }
    }

    /// Sets what the map has for `unit`.
    pub(super) fn set(&mut self, unit: Unit, entry: Option<Entry>) -> Result<(), OutOfMemory> {
        let before = self.map.get(unit);
        if before == entry {
            return Ok(());
        }
        self.map = self.map.set(&mut self.nodes, unit, entry)?;
        let all = self.geometry.blocks_of(unit);
        self.totals.count(before, all, u64::wrapping_sub);
        self.totals.count(entry, all, u64::wrapping_add);
        self.is_changed = true;
        if !self.changed.contains(&unit) && self.changed.push(unit).is_err() {
            self.has_more_changed = true;
        }
        Ok(())
    }

    /// Lets nobody use a claimed unit but its machine.
    pub(super) fn close_gate(&mut self, unit: Unit) -> Result<(), OutOfMemory> {
        let (gate, state) = (Gate::Busy, self.state(unit));
        self.set(unit, Some(Entry { gate, state }))
    }

    /// Lets everybody use a claimed unit again, which is as it was.
    pub(super) fn open_gate(&mut self, unit: Unit) {
        let state = self.state(unit);
        self.settle_as(unit, Gate::Open, state);
        self.end_claim(unit);
    }

    /// Says in the map what became of a claimed unit, for which memory is promised.
    pub(super) fn settle_as(&mut self, unit: Unit, gate: Gate, state: State) {
        let is_plain = gate == Gate::Open && state == State::Main;
        let entry = (!is_plain).then_some(Entry { gate, state });
        if self.set(unit, entry).is_err() {
            self.tell(Notice::MapIncomplete);
        }
    }

    /// Adds a change of a claimed unit to the next commit, with the spare units that failed
    /// meanwhile; the number of its group. The claim ends with the commit.
    pub(super) fn stage(
        &mut self,
        change: Change,
        retired: impl Iterator<Item = SpareUnit>,
        freed: Option<SpareUnit>,
    ) -> Result<u64, Key> {
        let number = self.writer.gathering();
        if !self.gathered.has_room() {
            self.hasten();
            return Err(Key::GroupRoom);
        }
        let is_own = |claim: &&Claim| claim.unit == change.unit;
        let claim = self.claims.iter().find(is_own);
        if self.is_any_awaited || claim.is_some_and(|claim| claim.is_awaited) {
            self.hasten();
        }
        let full = |_| Key::GroupRoom;
        self.gathered.push(change).map_err(full)?;
        for spare in retired {
            self.gathered.retired.push(spare).map_err(full)?;
        }
        if let Some(spare) = freed {
            self.gathered.freed.push(spare).map_err(full)?;
        }
        Ok(number)
    }

    /// Whether `unit` is on main, and nobody is about to change that.
    pub(super) fn is_plain(&self, unit: Unit) -> bool {
        self.map.get(unit).is_none() && !self.is_claimed(unit)
    }

    /// Remembers that `unit`, which is on main, failed to read at `sector`; whether that is new.
    pub fn suspect(&mut self, unit: Unit, sector: u64) -> bool {
        if !self.is_plain(unit)
            || self.is_short
            || !self.is_closed()
            || self.totals.suspects >= MAX_SUSPECTS
        {
            return false;
        }
        if !self.nodes.covers(&self.map, self.promised + 1) {
            return false;
        }
        let (gate, state) = (Gate::Open, State::Suspect);
        if self.set(unit, Some(Entry { gate, state })).is_err() {
            return false;
        }
        self.tell(Notice::Suspect { sector });
        true
    }

    /// Drops the entry of a suspect that can be read; whether the unit is none then. Where there is no
    /// memory for that it stays one.
    pub fn clear_suspect(&mut self, unit: Unit) -> bool {
        if self.state(unit) != State::Suspect {
            return true;
        }
        let may_clear = !self.is_claimed(unit) && self.nodes.covers(&self.map, self.promised + 1);
        let is_cleared = may_clear && self.set(unit, None).is_ok();
        if is_cleared {
            self.notices.note_change();
        }
        is_cleared
    }

    /// Takes a spare unit for `unit`, on behalf of a caller on `cpu`.
    pub(super) fn take_spare(&mut self, unit: Unit, cpu: usize) -> Option<SpareUnit> {
        let before = self.spares.level();
        let neighbour = unit.0.checked_sub(1).map(Unit);
        let neighbour = neighbour.and_then(|unit| self.state(unit).spare());
        let found = self.magazines.take(cpu, neighbour, &mut self.spares);
        if found.is_none() {
            self.counts.no_spare += 1;
        }
        let now = self.spares.level();
        if now > before {
            self.tell(Notice::Level(now));
        }
        found
    }

    /// Makes free spare units that were put aside for CPUs.
    pub fn put_back_spares(&mut self) {
        self.magazines.put_back(&mut self.spares);
    }

    /// Makes a spare unit free that holds nothing.
    pub(super) fn release(&mut self, spare: SpareUnit) {
        self.spares.release(spare);
        self.queue.note_freed();
        self.wake(Key::Spare);
    }

    /// How many spare units hold data, or must be left alone since a region of the metadata says
    /// so.
    pub fn used_spares(&self) -> u64 {
        self.totals
            .relocated
            .saturating_add(self.withheld.len() as u64)
    }

    /// How many spare units are neither in use nor retired.
    pub fn free_spares(&self) -> u64 {
        let gone = self.spares.in_use().saturating_add(self.spares.retired());
        self.spares.units().saturating_sub(gone)
    }

    /// The spare units.
    pub fn spares(&self) -> &Spares<M::Words> {
        &self.spares
    }

    /// Whether units are relocated.
    pub fn is_closed(&self) -> bool {
        self.breaker.open().is_none()
    }

    /// The breaker.
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// Sets what the breaker allows, and what writes to suspects do.
    pub fn configure(&mut self, limit: Limit, budget: Budget, policy: Policy) {
        self.breaker.set_limit(limit);
        self.breaker.set_budget(budget);
        self.policy = policy;
    }

    /// Opens the breaker.
    pub(super) fn trip(&mut self, why: Trip) {
        if self.is_closed() {
            self.breaker.trip(why);
            self.tell(Notice::Tripped(why));
        }
    }

    /// Closes the breaker; whether it was open.
    pub fn rearm(&mut self) -> bool {
        let was_open = self.breaker.rearm();
        if was_open {
            self.notices.note_change();
        }
        was_open
    }

    /// Whether the breaker has no room for one unit more beside those that are being moved, of
    /// which it is not known whether they will be.
    pub(super) fn is_crowded(&self, now: u64) -> bool {
        let left = self.breaker.left(now, self.free_spares());
        let is_short = |left: u64| left <= self.admitted;
        self.admitted > 0
            && (left.now.is_some_and(is_short) || left.day.is_some_and(|(_, left)| is_short(left)))
    }

    /// Trips the breaker if one unit more that fails is one too many; whether it is closed.
    pub(super) fn admit(&mut self, now: u64) -> bool {
        let was_closed = self.is_closed();
        let is_admitted = self.breaker.admit(now, self.free_spares());
        if let (true, Some(why)) = (was_closed, self.breaker.open()) {
            self.tell(Notice::Tripped(why));
        }
        is_admitted
    }

    /// Allows or forbids to begin what takes long.
    pub fn set_suspended(&mut self, is_suspended: bool) {
        self.is_suspended = is_suspended;
        if is_suspended {
            self.wake(Key::Spare);
        }
    }

    /// Says whether the table may write: where it may not, nothing is committed.
    pub fn set_writable(&mut self, is_writable: bool) {
        self.is_writable = is_writable;
    }

    /// Takes note of whether the reserve of nodes is full; wakes those that wait for memory.
    pub fn set_short(&mut self, is_short: bool) {
        if is_short != self.is_short {
            self.is_short = is_short;
            self.tell(Notice::Short(is_short));
        }
        match is_short {
            // What others hold comes back when they end.
            true => self.hasten_all(),
            false => self.note_memory(),
        }
    }

    /// Whether memory is short.
    pub fn is_short(&self) -> bool {
        self.is_short
    }

    /// The reserve of nodes has more; wakes those that wait for memory.
    pub fn note_memory(&mut self) {
        self.wake(Key::Memory);
        self.wake(Key::Room);
    }

    /// How many units are being moved that the breaker will count.
    pub fn admitted(&self) -> u64 {
        self.admitted
    }

    /// How many units machines are about to change.
    pub fn claimed(&self) -> usize {
        self.claims.len()
    }

    /// How many spare units are withheld until all regions have all commits.
    pub fn withheld(&self) -> usize {
        self.withheld.len()
    }

    /// What is put aside for CPUs, and how that served.
    pub fn magazines(&self) -> &Magazines<M::Magazines> {
        &self.magazines
    }

    /// How many updates of the map are promised to what was begun.
    pub fn promised(&self) -> usize {
        self.promised
    }

    /// How many units are relocated.
    pub fn relocated(&self) -> u64 {
        self.totals.relocated
    }

    /// How many units are suspects.
    pub fn suspects(&self) -> u64 {
        self.totals.suspects
    }

    /// How many blocks of relocated units are lost.
    pub fn lost_blocks(&self) -> u64 {
        self.totals.lost_blocks
    }
}
