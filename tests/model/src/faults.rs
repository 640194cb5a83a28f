// SPDX-License-Identifier: GPL-2.0

//! What goes wrong meanwhile, and what an administrator does.

use crate::options::Options;
use crate::shell::Shell;
use crate::workers::{
    blocks_of,
    Shared, //
};
use anyhow::{
    Context,
    Result, //
};
use std::ops::Range;
use std::time::Duration;

/// The most places that fail at a time.
const PLACES: usize = 12;

/// The faults of a run.
struct Faults<'a> {
    shared: &'a Shared,
    options: &'a Options,
    rng: fastrand::Rng,
    shell: &'a mut Shell,
    /// Sectors of main that fail.
    main: Vec<Range<u64>>,
    /// Sectors of the spare that fail.
    spare: Vec<Range<u64>>,
}

/// One kind of them.
type Fault<'a> = fn(&mut Faults<'a>) -> Result<()>;

/// Does them until the workers are done; how many there were.
pub fn run(shared: &Shared, options: &Options, shell: &mut Shell) -> Result<u64> {
    let mut faults = Faults {
        shared,
        options,
        rng: fastrand::Rng::with_seed(!options.seed),
        shell,
        main: Vec::new(),
        spare: Vec::new(),
    };
    let kinds = faults.kinds();
    let mut done = 0;
    while !kinds.is_empty() && shared.wait_for(faults.rng.u64(0..16)) {
        let kind = faults.rng.usize(0..kinds.len());
        kinds[kind](&mut faults)?;
        shared.fault();
        done += 1;
    }
    faults.end()?;
    Ok(done)
}

/// Has sectors of a null_blk disk fail, or no more.
fn set_null_blk(file: &str, sectors: &Range<u64>, bad: bool) -> Result<()> {
    let sign = if bad { '+' } else { '-' };
    let text = format!("{sign}{}-{}", sectors.start, sectors.end - 1);
    std::fs::write(file, text).with_context(|| file.to_owned())
}

impl<'a> Faults<'a> {
    /// Those that may happen, each as often as it is listed.
    fn kinds(&self) -> Vec<Fault<'a>> {
        let mut kinds: Vec<Fault<'a>> = Vec::new();
        if self.options.main.is_some() {
            kinds.extend([Self::main_fails as Fault<'a>; 40]);
        }
        if self.options.dust.is_some() {
            kinds.extend([Self::main_fails as Fault<'a>; 3]);
        }
        if self.options.spare.is_some() {
            kinds.extend([Self::spare_fails as Fault<'a>; 40]);
        }
        if self.options.flakey.is_some() {
            kinds.push(Self::outage);
        }
        if self.options.name.is_some() {
            kinds.extend([Self::message as Fault<'a>; 4]);
            kinds.push(Self::suspend);
            kinds.push(Self::reload);
        }
        kinds
    }

    /// A few sectors out of `all`.
    fn some(&mut self, all: Range<u64>) -> Range<u64> {
        let step = self.options.block / 512;
        let start = self.rng.u64(all.clone()) / step * step;
        start..(start + step * self.rng.u64(1..12)).min(all.end)
    }

    fn set_main(&mut self, sectors: &Range<u64>, bad: bool) -> Result<()> {
        if let Some(file) = &self.options.main {
            set_null_blk(file, sectors, bad)?;
        }
        if let Some(dust) = &self.options.dust {
            let what = if bad { "addbadblock" } else { "removebadblock" };
            for sector in sectors.clone() {
                // A block that was written is not bad any more.
                self.shell
                    .dm(&format!("message {dust} 0 {what} {sector}"))?;
            }
        }
        Ok(())
    }

    /// A place of main begins to fail, or, less often, ends to.
    fn main_fails(&mut self) -> Result<()> {
        if self.main.len() < PLACES && self.rng.u32(0..4) > 0 {
            let all = self.options.blocks * self.options.block / 512;
            let part = if self.rng.bool() { all.min(256) } else { all };
            let mut sectors = self.some(0..part);
            if self.options.dust.is_some() {
                // A message for each.
                sectors.end = sectors.end.min(sectors.start + 2);
            }
            let blocks = blocks_of(self.options, sectors.clone());
            self.shared.history().bad(&blocks);
            self.set_main(&sectors, true)?;
            self.main.push(sectors);
        } else if !self.main.is_empty() {
            let which = self.rng.usize(0..self.main.len());
            let sectors = self.main.swap_remove(which);
            self.main_works(&sectors)?;
        }
        Ok(())
    }

    /// Ends the failing of sectors, but for those that fail for another reason too.
    fn main_works(&mut self, sectors: &Range<u64>) -> Result<()> {
        self.set_main(sectors, false)?;
        let blocks = blocks_of(self.options, sectors.clone());
        self.shared.history().good(&blocks);
        for other in self.main.clone() {
            let blocks = blocks_of(self.options, other.clone());
            self.shared.history().bad(&blocks);
            self.set_main(&other, true)?;
        }
        Ok(())
    }

    fn spare_fails(&mut self) -> Result<()> {
        let file = self.options.spare.as_deref().context("no spare")?;
        if self.spare.len() < PLACES && self.rng.bool() {
            let from = self.options.spare_from;
            let sectors = self.some(from..from + self.options.spare_sectors);
            set_null_blk(file, &sectors, true)?;
            self.spare.push(sectors);
        } else if !self.spare.is_empty() {
            let which = self.rng.usize(0..self.spare.len());
            set_null_blk(file, &self.spare.swap_remove(which), false)?;
        }
        Ok(())
    }

    fn name(&self) -> Result<&'a str> {
        self.options.name.as_deref().context("no name")
    }

    /// A message that is answered or refused.
    fn message(&mut self) -> Result<()> {
        let unit = self
            .rng
            .u64(0..self.options.blocks * self.options.block / 4096);
        let sector = unit * 8;
        let units = 8 * self.rng.u64(1..12);
        let words = match self.rng.u32(0..12) {
            0..4 => format!("remap {sector} {units}"),
            4..9 => format!("unremap {sector}"),
            9 => format!("retest {sector}"),
            10 => "checkpoint".to_owned(),
            _ => "rearm".to_owned(),
        };
        self.shell
            .dm(&format!("message {} 0 {words}", self.name()?))?;
        Ok(())
    }

    fn suspend(&mut self) -> Result<()> {
        let name = self.name()?;
        let how = if self.rng.bool() { "noflush" } else { "" };
        self.shell.must(&format!("suspend {name} {how}"))?;
        self.shell.must(&format!("resume {name}"))?;
        Ok(())
    }

    fn reload(&mut self) -> Result<()> {
        let name = self.name()?;
        let table = self.shell.table(name)?;
        self.shell.must(&format!("load {name} {table}"))?;
        self.suspend()
    }

    /// Main is gone for a while.
    fn outage(&mut self) -> Result<()> {
        let name = self.options.flakey.as_deref().context("no name")?;
        let here = self.shell.table(name)?;
        let words: Vec<_> = here.split_whitespace().take(2).collect();
        let gone = format!("{} error'", words.join(" "));
        for table in [gone, here] {
            self.shell.must(&format!("load {name} {table}"))?;
            self.shell.must(&format!("suspend {name} noflush"))?;
            self.shell.must(&format!("resume {name}"))?;
            std::thread::sleep(Duration::from_millis(self.rng.u64(0..300)));
        }
        Ok(())
    }

    /// All disks are well again.
    fn end(&mut self) -> Result<()> {
        while let Some(sectors) = self.main.pop() {
            self.main_works(&sectors)?;
        }
        while let Some(sectors) = self.spare.pop() {
            let file = self.options.spare.as_deref().context("no spare")?;
            set_null_blk(file, &sectors, false)?;
        }
        if let Some(name) = &self.options.name {
            self.shell.dm(&format!("message {name} 0 rearm"))?;
        }
        Ok(())
    }
}
