// SPDX-License-Identifier: GPL-2.0

//! What reads and writes.

use crate::disk::{
    self,
    Buffer, //
};
use crate::options::Options;
use anyhow::{
    anyhow,
    bail,
    Result, //
};
use model::content::{
    fill,
    identify,
    Content, //
};
use model::history::History;
use rustix::fs::{
    fallocate,
    FallocateFlags, //
};
use rustix::process::nice;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::process::{
    Command,
    Stdio, //
};
use std::sync::atomic::{
    AtomicBool,
    AtomicU64,
    Ordering::Relaxed, //
};
use std::sync::{
    Condvar,
    Mutex,
    MutexGuard, //
};

/// What all threads share.
pub struct Shared {
    history: Mutex<History>,
    /// Operations that are still to be begun.
    left: Mutex<u64>,
    /// One was.
    begun: Condvar,
    /// Faults that there still must be.
    faults_left: AtomicU64,
    values: AtomicU64,
    done: AtomicBool,
    reads: AtomicU64,
    writes: AtomicU64,
    failed_reads: AtomicU64,
    failed_writes: AtomicU64,
}

impl Shared {
    pub fn new(options: &Options) -> Self {
        let mut history = History::new(options.blocks as usize);
        for &(first, count) in &options.sick {
            history.doom(&blocks_of(options, first..first + count));
        }
        if options.spare.is_some() || options.all_may_fail() {
            history.doom(&(0..options.blocks));
        }
        Self {
            history: Mutex::new(history),
            left: Mutex::new(options.ops),
            begun: Condvar::new(),
            faults_left: AtomicU64::new(options.faults),
            values: AtomicU64::new(1),
            done: AtomicBool::new(false),
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            failed_reads: AtomicU64::new(0),
            failed_writes: AtomicU64::new(0),
        }
    }

    pub fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().expect("a worker panicked")
    }

    /// Whether no worker is at work.
    pub fn is_done(&self) -> bool {
        self.done.load(Relaxed)
    }

    /// Waits until so many operations more were begun; whether the workers are at work still.
    pub fn wait_for(&self, operations: u64) -> bool {
        let left = self.left();
        let until = left.saturating_sub(operations);
        let waited = self.begun.wait_while(left, |left| *left > until);
        drop(waited.expect("a worker panicked"));
        !self.is_done()
    }

    fn left(&self) -> MutexGuard<'_, u64> {
        self.left.lock().expect("a worker panicked")
    }

    /// Takes note of a fault.
    pub fn fault(&self) {
        let take = |left: u64| Some(left.saturating_sub(1));
        let _ = self.faults_left.fetch_update(Relaxed, Relaxed, take);
    }

    /// Begins an operation, if there is another to be done.
    fn begin(&self) -> bool {
        let mut left = self.left();
        let counted = *left > 0;
        *left = left.saturating_sub(1);
        self.begun.notify_one();
        counted || self.faults_left.load(Relaxed) > 0
    }

    pub fn all_done(&self) {
        self.done.store(true, Relaxed);
    }

    /// Ends the run where there was a lie, or what cannot be gone on with, with all as it is.
    pub fn stop_at<T>(&self, done: Result<T>) -> Result<T> {
        if let Err(lie) = &done {
            println!("{lie:#} ({})", self.summary());
            std::process::exit(1);
        }
        done
    }

    pub fn summary(&self) -> String {
        format!(
            "{} reads, {} failed, {} writes, {} failed",
            self.reads.load(Relaxed),
            self.failed_reads.load(Relaxed),
            self.writes.load(Relaxed),
            self.failed_writes.load(Relaxed)
        )
    }

    /// A worker with choices of its own.
    pub fn worker<'a>(&'a self, options: &'a Options, number: u64) -> Result<Worker<'a>> {
        let most = (options.largest.max(64) * options.block) as usize;
        Ok(Worker {
            shared: self,
            options,
            rng: fastrand::Rng::with_seed(options.seed.wrapping_add(number)),
            plain: disk::open(&options.device, 0)?,
            durable: disk::open(&options.device, libc::O_DSYNC)?,
            buffer: Buffer::new(most),
        })
    }
}

/// The blocks in which sectors lie.
pub fn blocks_of(options: &Options, sectors: Range<u64>) -> Range<u64> {
    let sectors_each = options.block / 512;
    let end = sectors.end.div_ceil(sectors_each).min(options.blocks);
    (sectors.start / sectors_each).min(end)..end
}

/// A thread that does one operation after the other.
pub struct Worker<'a> {
    shared: &'a Shared,
    options: &'a Options,
    rng: fastrand::Rng,
    plain: File,
    /// What is written here is durable when it is acknowledged.
    durable: File,
    buffer: Buffer,
}

impl Worker<'_> {
    /// Works until all operations were done, behind the commands that cause faults.
    pub fn run(&mut self) -> Result<()> {
        // Other threads and processes first.
        nice(10)?;
        while self.shared.begin() {
            let blocks = self.choose();
            match self.rng.u32(0..200) {
                0..90 => self.read(blocks)?,
                90..180 => self.write(blocks, false)?,
                180..190 => self.write(blocks, true)?,
                190..196 => self.flush()?,
                196..198 => self.zero(blocks)?,
                _ => self.discard(blocks)?,
            }
        }
        Ok(())
    }

    /// Some blocks: mostly few, and half of the time in a small part, where threads meet.
    fn choose(&mut self) -> Range<u64> {
        let all = self.options.blocks;
        let most = match self.rng.u32(0..10) {
            0..7 => 24,
            7..9 => 64,
            _ => self.options.largest,
        };
        let part = if self.rng.bool() { all.min(256) } else { all };
        let start = self.rng.u64(0..part);
        start..(start + self.rng.u64(1..=most.min(self.options.largest))).min(all)
    }

    fn place(&self, blocks: &Range<u64>) -> (u64, usize) {
        let bytes = self.options.block;
        (
            blocks.start * bytes,
            ((blocks.end - blocks.start) * bytes) as usize,
        )
    }

    /// Reads blocks, and where that fails, sometimes each for itself.
    pub fn read(&mut self, blocks: Range<u64>) -> Result<()> {
        if self.read_at_once(&blocks)? || blocks.end - blocks.start == 1 {
            return Ok(());
        }
        if blocks.end - blocks.start <= 16 || self.shared.is_done() {
            for block in blocks {
                self.read_at_once(&(block..block + 1))?;
            }
        }
        Ok(())
    }

    /// Whether it could be read.
    fn read_at_once(&mut self, blocks: &Range<u64>) -> Result<bool> {
        let (at, len) = self.place(blocks);
        let begun = self.shared.history().begin_read();
        let bytes = self.buffer.get(len);
        let done = self.plain.read_exact_at(bytes, at);
        self.shared.reads.fetch_add(1, Relaxed);
        let chunks = bytes.chunks_exact(self.options.block as usize);
        let found: Vec<Content> = chunks
            .zip(blocks.clone())
            .map(|(bytes, block)| identify(bytes, block))
            .collect();
        let found = match &done {
            Ok(()) => Some(&found[..]),
            Err(error) => {
                let known = [libc::EIO, libc::ENODATA].map(Some);
                if !known.contains(&error.raw_os_error()) && !self.options.all_may_fail() {
                    bail!("a read of blocks {blocks:?} failed: {error}");
                }
                self.shared.failed_reads.fetch_add(1, Relaxed);
                None
            }
        };
        let checked = self.shared.history().end_read(blocks, begun, found);
        checked.map_err(|lie| anyhow!("{lie:?}"))?;
        Ok(done.is_ok())
    }

    /// Does what writes, between the begin and the end of a write of `value`.
    fn writing(
        &mut self,
        blocks: &Range<u64>,
        value: u64,
        write: impl FnOnce(&mut Self) -> Result<bool>,
    ) -> Result<bool> {
        let begun = self.shared.history().begin_write(blocks, value);
        let done = write(self)?;
        self.shared.history().end_write(blocks, begun, done);
        Ok(done)
    }

    /// A write that may not fail did or did not.
    fn wrote(&mut self, what: &str, blocks: &Range<u64>, done: bool) -> Result<()> {
        self.shared.writes.fetch_add(1, Relaxed);
        if !done {
            self.shared.failed_writes.fetch_add(1, Relaxed);
            if !self.options.all_may_fail() {
                bail!("{what} of blocks {blocks:?} failed");
            }
        }
        Ok(())
    }

    fn write(&mut self, blocks: Range<u64>, durable: bool) -> Result<()> {
        let value = self.shared.values.fetch_add(1, Relaxed);
        let (at, len) = self.place(&blocks);
        let size = self.options.block as usize;
        let chunks = self.buffer.get(len).chunks_exact_mut(size);
        for (bytes, block) in chunks.zip(blocks.clone()) {
            fill(bytes, block, value);
        }
        let done = self.writing(&blocks, value, |this| {
            let file = if durable { &this.durable } else { &this.plain };
            Ok(file.write_all_at(this.buffer.get(len), at).is_ok())
        })?;
        self.wrote("a write", &blocks, done)
    }

    fn flush(&mut self) -> Result<()> {
        let done = self.plain.sync_data().is_ok();
        self.wrote("a flush", &(0..0), done)
    }

    /// Runs `blkdiscard` over blocks.
    fn blkdiscard(&mut self, blocks: &Range<u64>) -> Result<()> {
        let (at, len) = self.place(blocks);
        let (at, len) = (at.to_string(), len.to_string());
        // Without `--force` only one at a time may.
        let words = [
            "--force",
            "--offset",
            &at,
            "--length",
            &len,
            &self.options.device,
        ];
        Command::new("blkdiscard")
            .args(words)
            .stderr(Stdio::null())
            .status()?;
        Ok(())
    }

    fn zero(&mut self, blocks: Range<u64>) -> Result<()> {
        let done = self.writing(&blocks, 0, |this| {
            let (at, len) = this.place(&blocks);
            let flags = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
            Ok(fallocate(&this.plain, flags, at, len as u64).is_ok())
        })?;
        self.wrote("a write of zeroes", &blocks, done)
    }

    /// What is discarded holds what it held or zeroes, as after a write of zeroes that failed.
    fn discard(&mut self, blocks: Range<u64>) -> Result<()> {
        self.writing(&blocks, 0, |this| {
            this.blkdiscard(&blocks)?;
            Ok(false)
        })?;
        Ok(())
    }
}
