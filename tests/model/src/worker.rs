// SPDX-License-Identifier: GPL-2.0

//! The threads that read and write.

use crate::{
    content::{
        fill,
        identify,
        Content, //
    },
    disk::{
        self,
        Buffer, //
    },
    model::Model,
};
use anyhow::{
    anyhow,
    bail,
    Result, //
};
use rustix::{
    fs::{
        fallocate,
        FallocateFlags,
        OFlags, //
    },
    io::Errno,
    process::nice,
};
use std::{
    fs::File,
    io,
    ops::Range,
    os::unix::fs::FileExt,
    process::{
        Command,
        Stdio, //
    },
    sync::atomic::Ordering::Relaxed,
};

/// A thread that performs one operation after another.
pub struct Worker<'a> {
    model: &'a Model,
    rng: fastrand::Rng,
    plain: File,
    /// Writes through this file are durable on acknowledgement.
    durable: File,
    buffer: Buffer,
}

impl<'a> Worker<'a> {
    /// A worker with its own choices.
    pub fn new(model: &'a Model, number: u64) -> Result<Self> {
        let work = &model.work;
        let most = (work.largest.max(64) * work.block_bytes) as usize;
        Ok(Self {
            model,
            rng: fastrand::Rng::with_seed(work.seed.wrapping_add(number)),
            plain: disk::open(&work.device, OFlags::empty())?,
            durable: disk::open(&work.device, OFlags::DSYNC)?,
            buffer: Buffer::new(most),
        })
    }

    /// Works until all operations are done, with lower priority than the commands that cause
    /// faults.
    pub fn run(&mut self) -> Result<()> {
        // Other threads and processes take precedence.
        nice(10)?;
        while self.model.begin() {
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

    /// Chooses some blocks: mostly few, and half of the time in a small range that all threads
    /// share.
    fn choose(&mut self) -> Range<u64> {
        let (all, largest) = (self.model.work.blocks, self.model.work.largest);
        let most = match self.rng.u32(0..10) {
            0..7 => 24,
            7..9 => 64,
            _ => largest,
        };
        let part = if self.rng.bool() { all.min(256) } else { all };
        let start = self.rng.u64(0..part);
        start..(start + self.rng.u64(1..=most.min(largest))).min(all)
    }

    fn place(&self, blocks: &Range<u64>) -> (u64, usize) {
        let bytes = self.model.work.block_bytes;
        (
            blocks.start * bytes,
            ((blocks.end - blocks.start) * bytes) as usize,
        )
    }

    /// Reads blocks. After a failure, sometimes reads each block by itself.
    pub fn read(&mut self, blocks: Range<u64>) -> Result<()> {
        if self.read_at_once(&blocks)? || blocks.end - blocks.start == 1 {
            return Ok(());
        }
        if blocks.end - blocks.start <= 16 || self.model.is_done() {
            for block in blocks {
                self.read_at_once(&(block..block + 1))?;
            }
        }
        Ok(())
    }

    /// Reads blocks in a single request; returns whether that succeeded.
    fn read_at_once(&mut self, blocks: &Range<u64>) -> Result<bool> {
        let (at, len) = self.place(blocks);
        let begun = self.model.history().begin_read();
        let done = self.plain.read_exact_at(self.buffer.get(len), at);
        self.model.counts.reads.fetch_add(1, Relaxed);
        let found = match &done {
            Ok(()) => Some(self.found(blocks)),
            Err(error) => {
                self.may_be(error, blocks)?;
                self.model.counts.failed_reads.fetch_add(1, Relaxed);
                None
            }
        };
        let mut history = self.model.history();
        let checked = history.end_read(blocks, begun, found.as_deref());
        checked.map_err(|lie| anyhow!("{lie:?}"))?;
        Ok(done.is_ok())
    }

    /// The contents found in each block.
    fn found(&mut self, blocks: &Range<u64>) -> Vec<Content> {
        let (_, len) = self.place(blocks);
        let size = self.model.work.block_bytes as usize;
        let chunks = self.buffer.get(len).chunks_exact(size);
        chunks
            .zip(blocks.clone())
            .map(|(bytes, block)| identify(bytes, block))
            .collect()
    }

    /// Fails if a bad sector returned a wrong error.
    fn may_be(&self, error: &io::Error, blocks: &Range<u64>) -> Result<()> {
        let known = [Errno::IO, Errno::NODATA].map(|known| Some(known.raw_os_error()));
        if !known.contains(&error.raw_os_error()) && !self.model.work.all_may_fail {
            bail!("a read of blocks {blocks:?} failed: {error}");
        }
        Ok(())
    }

    /// Performs a write of `value`, between its begin and its end in the history.
    fn writing(
        &mut self,
        blocks: &Range<u64>,
        value: u64,
        write: impl FnOnce(&mut Self) -> Result<bool>,
    ) -> Result<bool> {
        let begun = self.model.history().begin_write(blocks, value);
        let done = write(self)?;
        self.model.history().end_write(blocks, begun, done);
        Ok(done)
    }

    /// Records a write, and fails if it failed without permission.
    fn wrote(&mut self, what: &str, blocks: &Range<u64>, done: bool) -> Result<()> {
        self.model.counts.writes.fetch_add(1, Relaxed);
        if !done {
            self.model.counts.failed_writes.fetch_add(1, Relaxed);
            if !self.model.work.all_may_fail {
                bail!("{what} of blocks {blocks:?} failed");
            }
        }
        Ok(())
    }

    fn write(&mut self, blocks: Range<u64>, durable: bool) -> Result<()> {
        let value = self.model.next_value();
        let (at, len) = self.place(&blocks);
        let size = self.model.work.block_bytes as usize;
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
        // Without `--force`, only a single process at a time may discard.
        Command::new("blkdiscard")
            .arg("--force")
            .args(["--offset", &at.to_string()])
            .args(["--length", &len.to_string()])
            .arg(&self.model.work.device)
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

    /// Discards blocks. A discarded block holds its previous contents or zeroes, as after a failed
    /// write of zeroes.
    fn discard(&mut self, blocks: Range<u64>) -> Result<()> {
        self.writing(&blocks, 0, |this| {
            this.blkdiscard(&blocks)?;
            Ok(false)
        })?;
        Ok(())
    }
}
