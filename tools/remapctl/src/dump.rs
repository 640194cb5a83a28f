// SPDX-License-Identifier: GPL-2.0

//! What the metadata hold, in JSON and back.

use crate::array::Found;
use anyhow::{
    bail,
    Context,
    Result, //
};
use remap_core::blocks::Blocks;
use remap_core::geometry::{
    SpareUnit,
    Unit, //
};
use remap_core::metadata::array::Array;
use remap_core::metadata::record::Record;
use remap_core::metadata::standing::{
    End,
    Standing,
    COUNTERS, //
};
use remap_core::metadata::uuid::Uuid;
use serde::{
    Deserialize,
    Serialize, //
};
use std::collections::BTreeMap;

/// The names of the counters that survive, by their place.
const COUNTER_NAMES: [&str; 13] = [
    "read_errors",
    "write_errors",
    "transient",
    "lost_reads",
    "relocated",
    "remapped",
    "unremapped",
    "retired",
    "no_spare",
    "scan_found",
    "scan_weak",
    "scan_moved",
    "scan_passes",
];

/// The name of the counter at a place.
fn counter_name(at: usize) -> String {
    let known = COUNTER_NAMES.get(at).map(ToString::to_string);
    known.unwrap_or_else(|| number_name(at))
}

/// What it is called by those who know no name for it.
fn number_name(at: usize) -> String {
    format!("counter_{at}")
}

/// The counters that have a name, and those others that are not zero.
fn named_counters(counters: &[u64; COUNTERS]) -> BTreeMap<String, u64> {
    let all = counters.iter().enumerate();
    all.filter(|&(at, &value)| at < COUNTER_NAMES.len() || value != 0)
        .map(|(at, &value)| (counter_name(at), value))
        .collect()
}

/// Everything that the metadata of an array say.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dump {
    /// The array's UUID.
    pub array: String,
    /// The main device's UUID, if it carries copies of the metadata.
    pub main: Option<String>,
    /// The spare device's UUID.
    pub spare: String,
    pub unit_bytes: u64,
    pub block_bytes: u64,
    pub main_sectors: u64,
    pub spare_sectors: u64,
    /// The number of the last commit.
    pub generation: u64,
    /// Whether the array was shut down in order.
    pub clean: bool,
    /// The unit at which the next scan goes on.
    pub cursor: u64,
    /// Counters that survive, by name.
    pub counters: BTreeMap<String, u64>,
    pub relocated: Vec<RelocatedUnit>,
    /// Numbers of spare units that must not be used.
    pub retired: Vec<u64>,
}

/// One relocated unit.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelocatedUnit {
    /// The unit's number; its first sector is that times the length of a unit.
    pub unit: u64,
    /// The spare unit that it is kept in.
    pub spare: u64,
    /// The blocks that hold data, a bit each, in hexadecimal.
    pub valid: String,
}

impl Dump {
    /// What was read.
    pub fn of(found: &Found) -> Self {
        let array = found.array();
        let standing = found.contained.standing;
        let mut this = Self {
            array: array.uuid.to_string(),
            main: array.on_main().then(|| array.main.to_string()),
            spare: array.spare.to_string(),
            unit_bytes: u64::from(array.unit_sectors) << 9,
            block_bytes: u64::from(array.block_sectors) << 9,
            main_sectors: array.main_sectors,
            spare_sectors: array.spare_sectors,
            generation: found.generation(),
            clean: standing.end.is_some(),
            cursor: standing.cursor,
            counters: named_counters(&standing.counters),
            relocated: Vec::new(),
            retired: Vec::new(),
        };
        for record in found.contents().records {
            match record {
                Record::Relocated { unit, spare, valid } => this.relocated.push(RelocatedUnit {
                    unit: unit.0,
                    spare: spare.0,
                    valid: format!("{:x}", valid.bits()),
                }),
                Record::Retired { spare } => this.retired.push(spare.0),
                Record::OnMain { .. } => {}
            }
        }
        this
    }

    /// Whether units are in the same places as in another.
    pub fn has_state_of(&self, other: &Self) -> bool {
        (&self.array, &self.main, &self.spare) == (&other.array, &other.main, &other.spare)
            && (self.main_sectors, self.spare_sectors) == (other.main_sectors, other.spare_sectors)
            && (&self.relocated, &self.retired) == (&other.relocated, &other.retired)
    }

    /// The array that it describes.
    pub fn array(&self) -> Result<Array> {
        let uuid = |text: &str| Uuid::parse(text).with_context(|| format!("'{text}' is no UUID"));
        let sectors = |bytes: u64, what: &str| {
            let whole = bytes % 512 == 0;
            let sectors = u32::try_from(bytes / 512).ok().filter(|_| whole);
            sectors.with_context(|| format!("{what} of {bytes} bytes"))
        };
        Ok(Array {
            uuid: uuid(&self.array)?,
            main: self.main.as_deref().map_or(Ok(Uuid::NIL), uuid)?,
            spare: uuid(&self.spare)?,
            unit_sectors: sectors(self.unit_bytes, "unit")?,
            block_sectors: sectors(self.block_bytes, "block")?,
            main_sectors: self.main_sectors,
            spare_sectors: self.spare_sectors,
        })
    }

    /// The small state that it describes.
    pub fn standing(&self) -> Result<Standing> {
        let mut counters = [0; COUNTERS];
        for (name, &value) in &self.counters {
            let is_at = |&at: &usize| [counter_name(at), number_name(at)].contains(name);
            let place = (0..COUNTERS).find(is_at);
            let place = place.and_then(|at| counters.get_mut(at));
            *place.with_context(|| format!("there is no counter '{name}'"))? = value;
        }
        Ok(Standing {
            // Main may have changed since.
            end: self.clean.then(End::default),
            cursor: self.cursor,
            counters,
        })
    }

    /// The records of a checkpoint, in their order.
    pub fn records(&self) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for one in &self.relocated {
            let bits = u64::from_str_radix(&one.valid, 16);
            let bits = bits.with_context(|| format!("'{}' are no valid bits", one.valid))?;
            records.push(Record::Relocated {
                unit: Unit(one.unit),
                spare: SpareUnit(one.spare),
                valid: Blocks::from_bits(bits),
            });
        }
        if !self.relocated.is_sorted_by(|a, b| a.unit < b.unit) {
            bail!("the relocated units are not in order");
        }
        if !self.retired.is_sorted_by(|a, b| a < b) {
            bail!("the retired spare units are not in order");
        }
        let retired = self.retired.iter().map(|&unit| Record::Retired {
            spare: SpareUnit(unit),
        });
        records.extend(retired);
        Ok(records)
    }
}
