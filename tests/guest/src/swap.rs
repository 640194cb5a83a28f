// SPDX-License-Identifier: GPL-2.0

//! Swap under memory pressure: the write that frees memory must be relocated, which needs memory.

use crate::kit::{
    amount::amount,
    faults::{
        fail_workers,
        let_workers_be, //
    },
    *, //
};
use std::{
    fs,
    time::{
        Duration,
        Instant, //
    },
};

crate::tests![swap_under_pressure(
    memory: 384,
    disks: &[
        "scsi:256M:write@4096+8:write@20480+24:write@40960+64:write@61440+64:write@81920+64",
        "scsi:16M",
    ],
)];

/// Words of a page.
const WORDS: usize = 512;

/// MiB of memory available to programs without swapping.
fn available() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let kibibytes = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .context("MemAvailable")?;
    Ok(kibibytes.parse::<u64>()? >> 10)
}

/// More memory than the guest has. Each page holds the number of its last write.
struct Pages {
    words: Vec<u64>,
    writes: Vec<u32>,
}

impl Pages {
    fn new(mebibytes: u64) -> Self {
        let count = mebibytes as usize * (MIB / 4096);
        let mut this = Self {
            words: vec![0; count * WORDS],
            writes: vec![0; count],
        };
        for page in 0..count {
            this.put(page);
        }
        this
    }

    /// The first word of a page after the given number of writes.
    fn first_word(page: usize, writes: u32) -> u64 {
        (((page as u64) << 32) | u64::from(writes)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn put(&mut self, page: usize) {
        self.writes[page] += 1;
        let first = Self::first_word(page, self.writes[page]);
        let words = &mut self.words[page * WORDS..(page + 1) * WORDS];
        for (word, at) in words.iter_mut().zip(0..) {
            *word = first.wrapping_add(at);
        }
    }

    fn check(&self, page: usize) -> Result<()> {
        let first = Self::first_word(page, self.writes[page]);
        let words = &self.words[page * WORDS..(page + 1) * WORDS];
        let is_right = words
            .iter()
            .zip(0..)
            .all(|(word, at)| *word == first.wrapping_add(at));
        ensure!(is_right, "page {page} has wrong data");
        Ok(())
    }

    /// Checks and writes pages at random.
    fn use_one(&mut self) -> Result<()> {
        let page = fastrand::usize(..self.writes.len());
        self.check(page)?;
        self.put(page);
        Ok(())
    }
}

fn swap_under_pressure() -> Result<()> {
    let seconds = amount("SWAP")?;
    let mut log = KernelLog::now()?;
    let r = Remap::create("0 524288 remap /dev/disk0 0 /dev/disk1 0 32768 3 breaker 0 0")?;
    let device = r.path().to_string_lossy().into_owned();
    run("mkswap", &[&device])?;
    run("swapon", &[&device])?;
    fail_workers(5)?;
    let mut pages = Pages::new(available()? + 30);
    let begun = Instant::now();
    // The locations of swapped pages depend on chance.
    while begun.elapsed() < Duration::from_secs(seconds) || r.count("relocated")? <= 3 {
        for _ in 0..1000 {
            pages.use_one()?;
        }
    }
    ensure!(let_workers_be()? > 0, "no allocation failed");
    for page in 0..pages.writes.len() {
        pages.check(page)?;
    }
    for complaint in ["rite-error on swap", "ead-error on swap", "ut of memory"] {
        ensure!(!log.has(complaint)?, "{:?}", log.lines()?);
    }
    drop(pages);
    run("swapoff", &[&device])?;
    Ok(())
}
