// SPDX-License-Identifier: GPL-2.0

//! Several threads read and write a device while the caller makes its disks fail. The first
//! impossible value of a read, or the first impossible error, ends the run.

use crate::{
    history::History,
    worker::Worker, //
};
use anyhow::{
    Context,
    Result, //
};
use std::{
    fmt,
    ops::Range,
    path::PathBuf,
    sync::{
        atomic::{
            AtomicU64,
            Ordering::Relaxed, //
        },
        Condvar,
        Mutex,
        MutexGuard,
        PoisonError, //
    },
    thread::{
        self,
        ScopedJoinHandle, //
    },
};

/// Bytes of a sector.
const SECTOR: u64 = 512;

/// The work on a device.
#[derive(Clone, Debug)]
pub struct Work {
    /// The device.
    pub device: PathBuf,
    /// The seed of all choices. It does not determine the order of threads.
    pub seed: u64,
    /// The number of operations of all threads together.
    pub operations: u64,
    /// The minimum number of faults before the run ends.
    pub faults: u64,
    /// The number of concurrent operations.
    pub threads: u64,
    /// The number of blocks in use.
    pub blocks: u64,
    /// The bytes of a block.
    pub block_bytes: u64,
    /// The maximum number of blocks of an operation.
    pub largest: u64,
    /// Whether any read and any write may fail, with any error.
    pub all_may_fail: bool,
}

impl Work {
    /// The given number of operations on a device, by a few threads.
    pub fn on(device: impl Into<PathBuf>, seed: u64, operations: u64) -> Self {
        Self {
            device: device.into(),
            seed,
            operations,
            faults: 40,
            threads: 4,
            blocks: 8192,
            block_bytes: SECTOR,
            largest: 256,
            all_may_fail: false,
        }
    }

    /// The number of sectors in use.
    pub fn sectors(&self) -> u64 {
        self.blocks * self.block_sectors()
    }

    /// The sectors of a block.
    pub fn block_sectors(&self) -> u64 {
        self.block_bytes / SECTOR
    }

    /// The blocks of these sectors.
    fn blocks_of(&self, sectors: &Range<u64>) -> Range<u64> {
        let each = self.block_sectors();
        let end = sectors.end.div_ceil(each).min(self.blocks);
        (sectors.start / each).min(end)..end
    }
}

/// The number of reads and writes.
#[derive(Default)]
pub(crate) struct Counts {
    pub reads: AtomicU64,
    pub failed_reads: AtomicU64,
    pub writes: AtomicU64,
    pub failed_writes: AtomicU64,
}

impl fmt::Display for Counts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} reads, {} failed, {} writes, {} failed",
            self.reads.load(Relaxed),
            self.failed_reads.load(Relaxed),
            self.writes.load(Relaxed),
            self.failed_writes.load(Relaxed)
        )
    }
}

/// The remaining work.
struct Left {
    operations: u64,
    faults: u64,
    /// The number of active workers.
    workers: u64,
}

/// A run: the device, the known state of its blocks, and the remaining work.
///
/// The device initially holds zeroes.
pub struct Model {
    pub(crate) work: Work,
    pub(crate) counts: Counts,
    history: Mutex<History>,
    left: Mutex<Left>,
    /// Signalled when an operation begins or a worker ends.
    progress: Condvar,
    values: AtomicU64,
}

impl Model {
    /// Prepares a run.
    pub fn new(work: Work) -> Self {
        let left = Left {
            operations: work.operations,
            faults: work.faults,
            workers: work.threads,
        };
        let history = History::new(work.blocks as usize);
        let model = Self {
            work,
            counts: Counts::default(),
            history: Mutex::new(history),
            left: Mutex::new(left),
            progress: Condvar::new(),
            values: AtomicU64::new(1),
        };
        if model.work.all_may_fail {
            model.doom(&(0..model.work.sectors()));
        }
        model
    }

    /// The work of the run.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// Allows these sectors to lose their data at any time.
    pub fn doom(&self, sectors: &Range<u64>) {
        self.history().doom(&self.work.blocks_of(sectors));
    }

    /// Allows these sectors to lose their data from now on.
    pub fn bad(&self, sectors: &Range<u64>) {
        self.history().bad(&self.work.blocks_of(sectors));
    }

    /// Forbids these sectors to lose further data.
    pub fn good(&self, sectors: &Range<u64>) {
        self.history().good(&self.work.blocks_of(sectors));
    }

    /// Waits for the begin of the given number of operations; returns whether workers are still
    /// active.
    pub fn wait_for(&self, operations: u64) -> bool {
        let left = self.left();
        let until = left.operations.saturating_sub(operations);
        let waits = |left: &mut Left| left.operations > until && left.workers > 0;
        let left = self.progress.wait_while(left, waits);
        left.unwrap_or_else(PoisonError::into_inner).workers > 0
    }

    /// Records a fault.
    pub fn fault(&self) {
        let mut left = self.left();
        left.faults = left.faults.saturating_sub(1);
    }

    /// Performs all operations, and injects faults meanwhile.
    pub fn run(&self, faults: impl FnOnce() -> Result<()>) -> Result<()> {
        let done = thread::scope(|scope| {
            let workers: Vec<_> = (0..self.work.threads)
                .map(|number| scope.spawn(move || self.work_as(number)))
                .collect();
            let faults = self.stopping_at_errors(faults);
            workers.into_iter().map(joined).fold(faults, Result::and)
        });
        done.with_context(|| format!("seed {}: {}", self.work.seed, self.summary()))
    }

    /// Reads the whole device in large requests and, if they fail, block by block.
    pub fn verify(&self) -> Result<()> {
        const PIECE: u64 = 64;
        let mut worker = Worker::new(self, u64::MAX)?;
        for start in (0..self.work.blocks).step_by(PIECE as usize) {
            worker
                .read(start..self.work.blocks.min(start + PIECE))
                .with_context(|| format!("seed {}, after the run", self.work.seed))?;
        }
        Ok(())
    }

    /// A summary of the operations.
    pub fn summary(&self) -> String {
        self.counts.to_string()
    }

    fn work_as(&self, number: u64) -> Result<()> {
        let _at_work = AtWork(self);
        self.stopping_at_errors(|| Worker::new(self, number)?.run())
    }

    /// Runs `work`, and stops the workers if it fails.
    fn stopping_at_errors(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let done = work();
        if done.is_err() {
            let mut left = self.left();
            left.operations = 0;
            left.faults = 0;
        }
        done
    }

    /// Begins an operation, if any is left.
    pub(crate) fn begin(&self) -> bool {
        let mut left = self.left();
        let goes_on = left.operations > 0 || left.faults > 0;
        left.operations = left.operations.saturating_sub(1);
        self.progress.notify_one();
        goes_on
    }

    /// Whether no worker is active.
    pub(crate) fn is_done(&self) -> bool {
        self.left().workers == 0
    }

    /// A unique value for a write.
    pub(crate) fn next_value(&self) -> u64 {
        self.values.fetch_add(1, Relaxed)
    }

    /// The history. A worker that panicked has failed the run, which the other workers may still
    /// end.
    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An active worker, which may panic.
struct AtWork<'a>(&'a Model);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.left().workers -= 1;
        self.0.progress.notify_one();
    }
}

fn joined(worker: ScopedJoinHandle<'_, Result<()>>) -> Result<()> {
    worker
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
