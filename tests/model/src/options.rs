// SPDX-License-Identifier: GPL-2.0

//! What a run is told.

use anyhow::{
    bail,
    Context,
    Result, //
};

/// The words of the command.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is read and written.
    pub device: String,
    /// `seed`: what all choices follow from, but for the order in which threads run.
    pub seed: u64,
    /// `ops`: how many operations, of all threads together.
    pub ops: u64,
    /// `faults`: how many faults there must be before the run ends.
    pub faults: u64,
    /// `threads`: how many operations at a time.
    pub threads: u64,
    /// `blocks`: how much of the device is used.
    pub blocks: u64,
    /// `block`: the bytes of a block.
    pub block: u64,
    /// `largest`: the most blocks of an operation.
    pub largest: u64,
    /// `name`: the mapped device, which gets messages and is suspended and reloaded.
    pub name: Option<String>,
    /// `main`: a file that takes `+FIRST-LAST` and `-FIRST-LAST` and has main's sectors fail.
    pub main: Option<String>,
    /// `spare`: the same for the spare; any read may fail then.
    pub spare: Option<String>,
    /// `spare_from`, `spare_sectors`: what of the spare may fail.
    pub spare_from: u64,
    pub spare_sectors: u64,
    /// `dust`: a dm-dust device under main.
    pub dust: Option<String>,
    /// `flakey`: a mapped device under main, which is replaced by errors now and then; anything may fail.
    pub flakey: Option<String>,
    /// `sick`: sectors `FIRST+COUNT` that fail all the time.
    pub sick: Vec<(u64, u64)>,
}

impl Options {
    /// Whether any read and any write may fail.
    pub fn all_may_fail(&self) -> bool {
        self.flakey.is_some()
    }

    /// Reads the words of the command.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let device = words
            .next()
            .context("usage: model DEVICE [NAME=VALUE...]")?;
        let mut options = Self {
            device,
            seed: fastrand::u64(..),
            ops: 1000,
            faults: 0,
            threads: 4,
            blocks: 8192,
            block: 512,
            largest: 256,
            name: None,
            main: None,
            spare: None,
            spare_from: 0,
            spare_sectors: 0,
            dust: None,
            flakey: None,
            sick: Vec::new(),
        };
        for word in words {
            let (name, value) = word.split_once('=').context(word.clone())?;
            options.set(name, value).with_context(|| word.clone())?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let text = || Some(value.to_owned());
        match name {
            "seed" => self.seed = value.parse()?,
            "ops" => self.ops = value.parse()?,
            "faults" => self.faults = value.parse()?,
            "threads" => self.threads = value.parse()?,
            "blocks" => self.blocks = value.parse()?,
            "block" => self.block = value.parse()?,
            "largest" => self.largest = value.parse()?,
            "name" => self.name = text(),
            "main" => self.main = text(),
            "spare" => self.spare = text(),
            "spare_from" => self.spare_from = value.parse()?,
            "spare_sectors" => self.spare_sectors = value.parse()?,
            "dust" => self.dust = text(),
            "flakey" => self.flakey = text(),
            "sick" => {
                let (first, count) = value.split_once('+').context("want FIRST+COUNT")?;
                self.sick.push((first.parse()?, count.parse()?));
            }
            _ => bail!("no such option"),
        }
        Ok(())
    }
}
