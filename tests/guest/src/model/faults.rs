// SPDX-License-Identifier: GPL-2.0

//! What goes wrong while the model is run, and what an administrator does.

use crate::kit::*;
use ::model::Model;
use std::ops::Range;

/// The most places of a disk that fail at a time.
const PLACES: usize = 12;

/// The disks that fail.
#[derive(Default)]
pub struct FailingDisks {
    /// Main, of which sectors fail.
    pub main: Option<FailingMain>,
    /// The spare, and which of its sectors may fail.
    pub spare: Option<(NullDisk, Range<u64>)>,
    /// What main is on, in whose place there is only an error now and then.
    pub gone_at_times: Option<Mapped>,
}

/// A main whose sectors can be made bad.
pub enum FailingMain {
    /// Reads and writes fail.
    Null(NullDisk),
    /// Reads fail until the sector is written.
    Dust(Mapped),
}

/// Has sectors of a disk fail, or fail no more.
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

/// One kind of them.
type Fault<'a> = fn(&mut Faults<'a>) -> Result<()>;

impl<'a> Faults<'a> {
    /// Faults of these disks, and requests to `r`.
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

    /// Does them until the work is done. All disks are well then.
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

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Those that may happen, each as often as it is listed.
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

    /// A few sectors out of `all`, in whole blocks.
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
                    // A block that was written is not bad any more.
                    let _ = dust.message(&format!("{what} {sector}"));
                }
            }
            None => {}
        }
        Ok(())
    }

    /// A place of main begins to fail, or, less often, ends to.
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

    /// Half of the time they are where threads meet.
    fn some_of_main(&mut self) -> Range<u64> {
        let all = self.model.work().sectors();
        let part = if self.rng.bool() { all.min(256) } else { all };
        let mut sectors = self.some(0..part);
        if matches!(self.disks.main, Some(FailingMain::Dust(_))) {
            // A message for each.
            sectors.end = sectors.end.min(sectors.start + 2);
        }
        sectors
    }

    /// Ends the failing of sectors, but for those that fail for another reason too.
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

    /// A message that is answered or refused.
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

    /// Main is gone for some operations, and then there for some at least.
    fn outage(&mut self) -> Result<()> {
        let main = self.disks.gone_at_times.as_ref();
        let main = main.context("a disk that goes")?;
        let (here, gone) = (main.table()?, format!("0 {} error", main.sectors()?));
        for table in [gone, here] {
            main.load(&table)?;
            main.suspend_noflush()?;
            main.resume()?;
            self.model.wait_for(self.rng.u64(0..200));
        }
        Ok(())
    }

    /// All disks are well again.
    fn end(&mut self) -> Result<()> {
        while let Some(sectors) = self.main.pop() {
            self.main_works(&sectors)?;
        }
        if let Some((disk, _)) = &self.disks.spare {
            for sectors in self.spare.drain(..) {
                set(disk, &sectors, false)?;
            }
        }
        // Nothing may have been tripped.
        let _ = self.r.message("rearm");
        Ok(())
    }
}
