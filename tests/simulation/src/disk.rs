// SPDX-License-Identifier: GPL-2.0

//! A disk: sectors, a volatile cache, and what goes wrong.

use remap_core::classify::Status;
use std::collections::BTreeMap;
use std::ops::Range;

/// What a sector holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sector {
    /// All of what one write gave it; 0 is zeroes.
    Value(u64),
    /// Bytes: a part of a block of metadata.
    Bytes(Box<[u8; 512]>),
}

/// What is wrong with a sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be read until it is written.
    Unreadable,
    /// It cannot be written, and what it held can still be read.
    Unwritable,
    /// It can neither be read nor written.
    Dead,
    /// It takes writes, and cannot be read afterwards either.
    Forgetful,
    /// It keeps what it has at the next write.
    Deaf,
    /// It fails so many times more, then it is well.
    Flaky(u32),
    /// The path to it fails so many times more.
    Path(u32),
}

/// How a disk as a whole is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It works.
    #[default]
    Well,
    /// It answers nothing.
    Away,
    /// It takes no writes.
    ReadOnly,
}

/// A disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    stable: BTreeMap<u64, Sector>,
    cache: BTreeMap<u64, Sector>,
    faults: BTreeMap<u64, Fault>,
    /// How it is.
    pub mode: Mode,
    /// How many writes failed with the disk as a whole.
    failed: u64,
}

impl Disk {
    /// Something goes wrong, or nothing any more.
    pub fn set_fault(&mut self, sector: u64, fault: Option<Fault>) {
        match fault {
            Some(fault) => self.faults.insert(sector, fault),
            None => self.faults.remove(&sector),
        };
    }

    /// The sectors with which something is wrong.
    pub fn faulty(&self) -> impl Iterator<Item = u64> + '_ {
        self.faults.keys().copied()
    }

    /// Whether a sector takes writes and cannot be read.
    pub fn is_forgetful(&self, sector: u64) -> bool {
        self.faults.get(&sector) == Some(&Fault::Forgetful)
    }

    fn meet(&mut self, sector: u64, is_write: bool) -> Result<(), Status> {
        let Some(fault) = self.faults.get_mut(&sector) else {
            return Ok(());
        };
        match fault {
            Fault::Unreadable if is_write => {
                self.faults.remove(&sector);
                Ok(())
            }
            Fault::Forgetful if is_write => Ok(()),
            Fault::Unwritable if !is_write => Ok(()),
            Fault::Deaf => Ok(()),
            Fault::Unreadable | Fault::Unwritable | Fault::Dead | Fault::Forgetful => {
                Err(Status::Medium)
            }
            Fault::Flaky(0) | Fault::Path(0) => {
                self.faults.remove(&sector);
                Ok(())
            }
            Fault::Flaky(left) => {
                *left -= 1;
                Err(Status::IoErr)
            }
            Fault::Path(left) => {
                *left -= 1;
                Err(Status::Transport)
            }
        }
    }

    /// Reads sectors.
    pub fn read(&mut self, sectors: Range<u64>) -> Result<Vec<Sector>, Status> {
        if self.mode == Mode::Away {
            return Err(Status::IoErr);
        }
        for sector in sectors.clone() {
            self.meet(sector, false)?;
        }
        Ok(sectors.map(|sector| self.at(sector)).collect())
    }

    /// What a sector holds, whatever is wrong with it.
    pub fn at(&self, sector: u64) -> Sector {
        let found = self.cache.get(&sector).or_else(|| self.stable.get(&sector));
        found.cloned().unwrap_or(Sector::Value(0))
    }

    /// Writes sectors; those before the first that fails are written.
    pub fn write(&mut self, at: u64, data: &[Sector], is_durable: bool) -> Result<(), Status> {
        if self.mode != Mode::Well {
            // Some take effect all the same: what is lost is the answer.
            self.failed += 1;
            if self.failed % 3 == 0 {
                for (sector, content) in (at..).zip(data) {
                    self.put(sector, content, is_durable);
                }
            }
            return Err(Status::IoErr);
        }
        for (sector, content) in (at..).zip(data) {
            self.meet(sector, true)?;
            if self.faults.get(&sector) == Some(&Fault::Deaf) {
                self.faults.remove(&sector);
            } else {
                self.put(sector, content, is_durable);
            }
        }
        Ok(())
    }

    /// Has a sector hold this, as when the power went in the middle of a write.
    pub fn put(&mut self, sector: u64, content: &Sector, is_durable: bool) {
        if is_durable {
            self.cache.remove(&sector);
            self.stable.insert(sector, content.clone());
        } else {
            self.cache.insert(sector, content.clone());
        }
    }

    /// Makes durable what is in the cache.
    pub fn flush(&mut self) -> Result<(), Status> {
        if self.mode != Mode::Well {
            return Err(Status::IoErr);
        }
        self.stable.append(&mut self.cache);
        Ok(())
    }

    /// The power goes, and comes back: of what is in the cache, `keeps` says what was written.
    pub fn cut_power(&mut self, mut keeps: impl FnMut() -> bool) {
        for (sector, content) in std::mem::take(&mut self.cache) {
            if keeps() {
                self.stable.insert(sector, content);
            }
        }
    }
}
