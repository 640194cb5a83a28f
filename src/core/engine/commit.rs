// SPDX-License-Identifier: GPL-2.0

//! Commits of groups, and checkpoints.
//!
//! One update of the metadata is under way at a time: first a checkpoint where one is due, then the
//! commit of the group that was gathered. What is staged meanwhile goes to the next group.
//!
//! | state | on | to |
//! |---|---|---|
//! | `Idle` | a group is due, no checkpoint is | `Commit`; the other group is gathered |
//! | `Idle` | a checkpoint is due, or wanted | `Checkpoint` |
//! | `Commit` | a region of the spare has it | `Idle`; its changes are published |
//! | `Checkpoint` | a region has it | `Idle` |
//! | `Commit`, `Checkpoint` | no region has it | `Dead`: changes are taken back, nothing is staged |
//! | `Dead` | the metadata are loaded anew | `Idle` |

use super::change::OnFailure;
use super::memory::Memory;
use super::notice::Notice;
use super::task::Key;
use super::writer::Job;
use super::Engine;
use crate::geometry::Unit;
use crate::index::Gate;
use crate::metadata::block::{
    Block,
    Crc32c, //
};
use crate::metadata::journal::{
    records_after,
    Dead,
    Journal,
    Size, //
};
use crate::metadata::standing::{
    End,
    Standing, //
};
use crate::metadata::storage::{
    Failed,
    Region, //
};
use crate::metadata::update::{
    Orders,
    RegionIo,
    Update,
    Which, //
};

/// How many commits pass before a region that failed is tried again.
const COMMITS_BETWEEN_TRIES: u32 = 16;

/// It is not known whether a commit is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitUnknown;

impl<M: Memory> Engine<M> {
    /// Begins to use metadata that were read, with the map and the spare units that they describe.
    pub fn set_journal(&mut self, journal: Option<Journal>) {
        self.journal = journal;
        self.writer.is_read_only = false;
        self.writer.commits_to_wait = 0;
    }

    /// Has the next update try all regions again that miss commits.
    pub(super) fn try_regions_again(&mut self) {
        self.writer.commits_to_wait = 0;
    }

    /// The metadata, if they are loaded.
    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    /// Whether nothing can be committed.
    pub fn is_read_only(&self) -> bool {
        self.is_dead() || self.journal.is_none() || !self.is_writable
    }

    /// Whether no region of the spare took a commit, so that nothing can be committed until the
    /// metadata are loaded anew.
    pub fn is_dead(&self) -> bool {
        self.writer.is_read_only
    }

    /// What is being written: the name of its state.
    pub const fn writing(&self) -> &'static str {
        match (&self.writer.update, self.writer.is_read_only) {
            (Some((_, Job::Commit)), _) => "Commit",
            (Some((_, Job::Checkpoint(..))), _) => "Checkpoint",
            (None, false) => "Idle",
            (None, true) => "Dead",
        }
    }

    /// How many regions have all commits, and how many there are.
    pub fn regions(&self) -> (usize, usize) {
        let journal = self.journal.as_ref();
        journal.map_or((0, 0), |journal| (journal.good(), journal.total()))
    }

    /// Whether a region misses commits that a checkpoint may bring back.
    pub fn lacks_region(&self) -> bool {
        let (good, total) = self.regions();
        !self.is_read_only() && good < total
    }

    pub(super) fn can_commit_to_main(&self) -> bool {
        let journal = self.journal.as_ref();
        !self.is_read_only() && journal.is_some_and(Journal::has_good_on_main)
    }

    /// Has a commit made even if nothing changes; the number of its group. With `end` it says that
    /// the array is shut down in order.
    pub fn want_commit(&mut self, end: Option<End>) -> u64 {
        self.gathered.is_wanted = true;
        self.gathered.end = end.or(self.gathered.end);
        self.writer.gathering
    }

    /// Has a checkpoint made; the number to give to [`Self::checkpoint_outcome`].
    pub fn want_checkpoint(&mut self, which: Which) -> u64 {
        let is_under_way = matches!(self.writer.update, Some((_, Job::Checkpoint(..))));
        self.writer.wanted = match self.writer.wanted {
            Some(Which::All) => Some(Which::All),
            _ => Some(which),
        };
        self.writer.checkpoints + 1 + u64::from(is_under_way)
    }

    /// To how many regions the checkpoint of this number was written, if it was to be written to
    /// all, or a later one; once it has ended.
    pub fn checkpoint_outcome(&self, number: u64) -> Option<Result<usize, Dead>> {
        (self.writer.checkpoints >= number).then_some(self.writer.last_whole)
    }

    /// Has the changes that are gathered committed, since somebody waits for them or for what they
    /// hold, be it a unit or memory.
    pub fn hasten(&mut self) {
        self.gathered.is_awaited = true;
    }

    /// Has the change of a claimed unit committed as soon as it is staged, since somebody waits for
    /// the end of the claim.
    pub(super) fn hasten_unit(&mut self, unit: Unit) {
        let mut staged = self.gathered.changes.iter();
        if staged.any(|change| change.unit == unit) {
            return self.hasten();
        }
        if let Some(claim) = self.claims.iter_mut().find(|claim| claim.unit == unit) {
            claim.is_awaited = true;
        }
    }

    /// Has the change of any claimed unit committed as soon as it is staged, since somebody waits for
    /// the end of some claim.
    pub fn hasten_all(&mut self) {
        self.is_any_awaited = true;
        self.hasten();
    }

    /// What became of the group of this number, once that is known. Whoever waits for that
    /// [hastens](Self::hasten) it.
    pub fn outcome(&self, number: u64) -> Option<Result<(), CommitUnknown>> {
        if number <= self.writer.durable {
            Some(Ok(()))
        } else if self.is_read_only() {
            Some(Err(CommitUnknown))
        } else {
            None
        }
    }

    /// Whether an update is to be begun.
    pub fn wants_update(&self) -> bool {
        let is_due = self.gathered.is_due() || self.writer.wanted.is_some();
        self.writer.update.is_none() && is_due
    }

    /// Begins the next update, if there is one, with what the array is to remember; whether there
    /// is. Its [orders](Self::orders) follow.
    pub fn begin_update(&mut self, mut standing: Standing) -> bool {
        if !self.wants_update() {
            return false;
        }
        if self.is_read_only() {
            self.drop_groups();
            return false;
        }
        let which = self.checkpoint_due();
        let records = self.gathered.records();
        standing.end = self.gathered.end.filter(|_| which.is_none());
        let size = Size {
            relocated: self.totals.relocated,
            retired: self.spares.retired(),
        };
        let Some(journal) = &mut self.journal else {
            return false;
        };
        let begun = match which {
            Some(which) => journal
                .begin_checkpoint(standing, size, which)
                .map(|update| (update, Job::Checkpoint(which, None))),
            None => journal
                .begin_commit(standing, records)
                .map(|update| (update, Job::Commit)),
        };
        match begun {
            Ok(update) => self.note_begun(update),
            Err(Dead) => self.fail_groups(),
        }
        self.writer.update.is_some()
    }

    fn note_begun(&mut self, (update, job): (Update, Job)) {
        match job {
            Job::Commit => {
                core::mem::swap(&mut self.gathered, &mut self.written);
                self.writer.gathering += 1;
                self.writer.commits_to_wait = self.writer.commits_to_wait.saturating_sub(1);
            }
            Job::Checkpoint(..) => {
                self.writer.commits_to_wait = COMMITS_BETWEEN_TRIES;
                self.writer.wanted = None;
            }
        }
        self.writer.update = Some((update, job));
        // Whoever found no room in the group finds some in the next.
        self.wake(Key::GroupRoom);
    }

    /// Which checkpoint is to be made before anything else.
    fn checkpoint_due(&self) -> Option<Which> {
        let is_due = self.journal.as_ref().is_some_and(Journal::is_due);
        let may_revive = self.lacks_region() && self.writer.commits_to_wait == 0;
        match is_due || may_revive {
            true => Some(Which::All),
            false => self.writer.wanted,
        }
    }

    /// What is to be written now, at once or in any order, and its block in `block`, to be
    /// [sealed](Self::seal) for each region. What became of each is [noted](Self::note), and then
    /// the next are asked for. There are none when the update has ended, and is published.
    pub fn orders(&mut self, block: &mut Block) -> Option<Orders> {
        let before = self.regions();
        let (mut update, job) = self.writer.update.take()?;
        let journal = self.journal.as_mut()?;
        let (orders, job) = match job {
            Job::Commit => {
                let orders = journal.orders(&mut update, block, &mut self.written.iter());
                (orders, job)
            }
            Job::Checkpoint(which, mut last) => {
                let left = records_after(&self.map, &self.spares, last);
                let mut left = left.inspect(|record| last = Some(*record));
                let orders = journal.orders(&mut update, block, &mut left);
                drop(left);
                (orders, Job::Checkpoint(which, last))
            }
        };
        if orders.is_some() {
            self.writer.update = Some((update, job));
            return orders;
        }
        // A region that took no due checkpoint is bad from then on.
        let done = journal.finish(update);
        self.tell_regions(before);
        self.end_update(job, done);
        None
    }

    /// Seals the block of the orders for one region.
    pub fn seal(&self, region: Region, order: RegionIo, block: &mut Block, crc32c: Crc32c) {
        if let (Some(journal), Some((update, _))) = (&self.journal, &self.writer.update) {
            journal.seal(update, region, order, block, crc32c);
        }
    }

    /// Takes note of what became of an order.
    pub fn note(&mut self, region: Region, done: Result<(), Failed>) {
        let before = self.regions();
        if let (Some(journal), Some((update, _))) = (&mut self.journal, &mut self.writer.update) {
            journal.note(update, region, done);
        }
        self.tell_regions(before);
    }

    fn tell_regions(&mut self, before: (usize, usize)) {
        let (good, total) = self.regions();
        if (good, total) != before {
            self.tell(Notice::Regions(good, total));
        }
    }

    fn end_update(&mut self, job: Job, done: Result<usize, Dead>) {
        if let Job::Checkpoint(which, _) = job {
            self.writer.checkpoints += 1;
            if which == Which::All {
                self.writer.last_whole = done;
            }
            self.wake(Key::Checkpoint);
        }
        let is_still_due = self.journal.as_ref().is_some_and(Journal::is_due);
        match done {
            Ok(_) if job == Job::Commit => self.publish_written(),
            // Without it no commit can be made.
            Ok(0) if is_still_due => self.fail_groups(),
            Ok(_) => {}
            Err(Dead) => self.fail_groups(),
        }
        if !self.lacks_region() && !self.is_read_only() {
            self.release_withheld();
        }
        self.wake(Key::Commit(self.writer.durable));
    }

    /// Shows what the commit made durable.
    fn publish_written(&mut self) {
        let withhold = self.lacks_region();
        while let Some(change) = self.written.changes.pop() {
            self.settle_as(change.unit, Gate::Open, change.after);
            self.end_claim(change.unit);
        }
        while let Some(spare) = self.written.retired.pop() {
            self.spares.retire(spare);
            self.counts.retired += 1;
        }
        while let Some(spare) = self.written.freed.pop() {
            match withhold {
                // One for which there is no room is free after the next load.
                true => drop(self.withheld.push(spare)),
                false => self.release(spare),
            }
        }
        self.written.clear();
        self.writer.durable = self.writer.gathering.saturating_sub(1);
        let main_took_one = self.journal.as_ref().is_some_and(Journal::main_took_one);
        self.probes.note_commit(self.writer.durable, main_took_one);
        self.notices.note_change();
    }

    fn release_withheld(&mut self) {
        while let Some(spare) = self.withheld.pop() {
            self.release(spare);
        }
    }

    /// Nothing can be committed any more: takes back what is staged.
    fn fail_groups(&mut self) {
        if !self.writer.is_read_only {
            self.tell(Notice::ReadOnly);
        }
        self.writer.is_read_only = true;
        self.drop_groups();
    }

    /// Takes back what is staged, and cannot be committed.
    fn drop_groups(&mut self) {
        self.writer.wanted = None;
        self.writer.checkpoints += 1;
        self.writer.last_whole = Err(Dead);
        self.take_back_written(true);
        core::mem::swap(&mut self.gathered, &mut self.written);
        self.take_back_written(false);
        self.wake(Key::Checkpoint);
        self.wake(Key::GroupRoom);
        self.wake(Key::Commit(self.writer.gathering));
        self.wake(Key::Commit(self.writer.gathering.saturating_sub(1)));
    }

    /// Takes changes back. Of a group whose commit was begun it is not known whether it is durable.
    fn take_back_written(&mut self, was_begun: bool) {
        while let Some(change) = self.written.changes.pop() {
            let state = self.state(change.unit);
            let gate = match change.on_failure {
                _ if !was_begun => Gate::Open,
                OnFailure::Unchanged => Gate::Open,
                OnFailure::Stuck => Gate::Stuck,
                OnFailure::Unknown => Gate::Unknown,
            };
            self.settle_as(change.unit, gate, state);
            self.end_claim(change.unit);
        }
        self.written.clear();
    }
}
