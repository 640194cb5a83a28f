// SPDX-License-Identifier: GPL-2.0

//! Faults of the disks during a run of the model, and actions of an administrator.

use crate::kit::*;
use ::model::Model;
use std::ops::Range;

/// The maximum number of failing ranges of a disk.
const PLACES: usize = 12;

/// The disks that fail.
#[derive(Default)]
pub struct FailingDisks {
    /// Main, with failing sectors.
    pub main: Option<FailingMain>,
    /// The spare, and the sectors that may fail.
    pub spare: Option<(NullDisk, Range<u64>)>,
    /// The device below main, which is replaced by an error target now and then.
    pub gone_at_times: Option<Mapped>,
}

/// A main with configurable bad sectors.
pub enum FailingMain {
    /// Reads and writes fail.
    Null(NullDisk),
    /// Reads fail until the sector is written.
    Dust(Mapped),
}

/// Makes sectors of a disk fail, or work again.
fn set(disk: &NullDisk, sectors: &Range<u64>, bad: bool) -> Result<()> {
    let sectors = sectors.start..=sectors.end - 1;
    match bad {
        true => disk.bad(sectors),
        false => disk.good(sectors),
    }
}

/// The faults of a run.
pub struct Faults<'a> {
    model: &'a Model,
    disks: &'a FailingDisks,
    r: &'a Mapped,
    rng: fastrand::Rng,
    /// Sectors of main that fail.
    main: Vec<Range<u64>>,
    /// Sectors of the spare that fail.
    spare: Vec<Range<u64>>,
    count: u64,
}

/// A kind of fault.
type Fault<'a> = fn(&mut Faults<'a>) -> Result<()>;

impl<'a> Faults<'a> {
    /// Faults of these disks, and messages to `r`.
    pub fn new(model: &'a Model, r: &'a Mapped, disks: &'a FailingDisks) -> Self {
        Self {
            model,
            disks,
            r,
            rng: fastrand::Rng::with_seed(!model.work().seed),
            main: Vec::new(),
            spare: Vec::new(),
            count: 0,
        }
    }

    /// Injects faults until the work is done. Then all disks work.
    pub fn run(&mut self) -> Result<()> {
        let kinds = self.kinds();
        while self.model.wait_for(self.rng.u64(0..16)) {
            let kind = self.rng.usize(0..kinds.len());
            kinds[kind](self)?;
            self.model.fault();
            self.count += 1;
        }
        self.end()
    }

    /// The number of faults so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The possible kinds, each as often as it is listed.
    fn kinds(&self) -> Vec<Fault<'a>> {
        let mut kinds: Vec<Fault<'a>> = vec![Self::message; 4];
        kinds.extend([Self::suspend as Fault<'a>, Self::reload]);
        match self.disks.main {
            Some(FailingMain::Null(_)) => kinds.extend([Self::main_fails as Fault<'a>; 40]),
            Some(FailingMain::Dust(_)) => kinds.extend([Self::main_fails as Fault<'a>; 3]),
            None => {}
        }
        if self.disks.spare.is_some() {
            kinds.extend([Self::spare_fails as Fault<'a>; 40]);
        }
        if self.disks.gone_at_times.is_some() {
            kinds.push(Self::outage);
        }
        kinds
    }

    /// A few sectors of `all`, in whole blocks.
    fn some(&mut self, all: Range<u64>) -> Range<u64> {
        let step = self.model.work().block_sectors();
        let start = self.rng.u64(all.clone()) / step * step;
        start..(start + step * self.rng.u64(1..12)).min(all.end)
    }

    fn set_main(&self, sectors: &Range<u64>, bad: bool) -> Result<()> {
        match &self.disks.main {
            Some(FailingMain::Null(disk)) => set(disk, sectors, bad)?,
            Some(FailingMain::Dust(dust)) => {
                let what = if bad { "addbadblock" } else { "removebadblock" };
                for sector in sectors.clone() {
                    // A written block is no longer bad.
                    let _ = dust.message(&format!("{what} {sector}"));
                }
            }
            None => {}
        }
        Ok(())
    }

    /// A range of main begins to fail or, less often, works again.
    fn main_fails(&mut self) -> Result<()> {
        if self.main.len() < PLACES && self.rng.u32(0..4) > 0 {
            let sectors = self.some_of_main();
            self.model.bad(&sectors);
            self.set_main(&sectors, true)?;
            self.main.push(sectors);
        } else if !self.main.is_empty() {
            let which = self.rng.usize(0..self.main.len());
            let sectors = self.main.swap_remove(which);
            self.main_works(&sectors)?;
        }
        Ok(())
    }

    /// Some sectors of main: half of the time in the range that all threads share.
    fn some_of_main(&mut self) -> Range<u64> {
        let all = self.model.work().sectors();
        let part = if self.rng.bool() { all.min(256) } else { all };
        let mut sectors = self.some(0..part);
        if matches!(self.disks.main, Some(FailingMain::Dust(_))) {
            // Each sector takes a message.
            sectors.end = sectors.end.min(sectors.start + 2);
        }
        sectors
    }

    /// Makes sectors work again, except those that are still in another failing range.
    fn main_works(&self, sectors: &Range<u64>) -> Result<()> {
        self.set_main(sectors, false)?;
        self.model.good(sectors);
        for other in &self.main {
            self.model.bad(other);
            self.set_main(other, true)?;
        }
        Ok(())
    }

    fn spare_fails(&mut self) -> Result<()> {
        let (disk, all) = self.disks.spare.as_ref().context("a spare that fails")?;
        if self.spare.len() < PLACES && self.rng.bool() {
            let sectors = self.some(all.clone());
            set(disk, &sectors, true)?;
            self.spare.push(sectors);
        } else if !self.spare.is_empty() {
            let which = self.rng.usize(0..self.spare.len());
            set(disk, &self.spare.swap_remove(which), false)?;
        }
        Ok(())
    }

    /// Sends a message, which may be refused.
    fn message(&mut self) -> Result<()> {
        let unit = self.rng.u64(0..self.model.work().sectors() / UNIT);
        let sector = unit * UNIT;
        let sectors = UNIT * self.rng.u64(1..12);
        let words = match self.rng.u32(0..12) {
            0..4 => format!("remap {sector} {sectors}"),
            4..9 => format!("unremap {sector}"),
            9 => format!("retest {sector}"),
            10 => "checkpoint".to_owned(),
            _ => "rearm".to_owned(),
        };
        let _ = self.r.message(&words);
        Ok(())
    }

    fn suspend(&mut self) -> Result<()> {
        match self.rng.bool() {
            true => self.r.suspend_noflush()?,
            false => self.r.suspend()?,
        }
        self.r.resume()
    }

    fn reload(&mut self) -> Result<()> {
        self.r.load(&self.r.table()?)?;
        self.suspend()
    }

    /// Removes main for some operations, and restores it for at least some.
    fn outage(&mut self) -> Result<()> {
        let main = self.disks.gone_at_times.as_ref();
        let main = main.context("a disk that can be absent")?;
        let (here, gone) = (main.table()?, format!("0 {} error", main.sectors()?));
        for table in [gone, here] {
            main.load(&table)?;
            main.suspend_noflush()?;
            main.resume()?;
            self.model.wait_for(self.rng.u64(0..200));
        }
        Ok(())
    }

    /// Makes all disks work again.
    fn end(&mut self) -> Result<()> {
        while let Some(sectors) = self.main.pop() {
            self.main_works(&sectors)?;
        }
        if let Some((disk, _)) = &self.disks.spare {
            for sectors in self.spare.drain(..) {
                set(disk, &sectors, false)?;
            }
        }
        // The breaker may be closed.
        let _ = self.r.message("rearm");
        Ok(())
    }
}
