// SPDX-License-Identifier: GPL-2.0

//! An array in memory, written by the journal and read as the target reads it.

use remap_core::blocks::Blocks;
use remap_core::geometry::{
    Area,
    Device,
    Geometry,
    SpareUnit,
    Unit, //
};
use remap_core::index::State;
use remap_core::metadata::array::Array;
use remap_core::metadata::block::{
    Block,
    Crc32c,
    BLOCK_BYTES, //
};
use remap_core::metadata::journal::{
    Contents,
    Journal, //
};
use remap_core::metadata::record::Record;
use remap_core::metadata::regions::SPARE_REGIONS;
use remap_core::metadata::standing::Standing;
use remap_core::metadata::storage::{
    Failed,
    Region,
    Storage, //
};
use remap_core::metadata::uuid::Uuid;
use remap_host::{
    blank_block,
    Contained,
    Unreadable, //
};
use std::collections::BTreeMap;

const MAIN_SECTORS: u64 = 8 * 100;
const SPARE_SECTORS: u64 = 4096 + 40 * 8;

/// The two regions of a small spare.
#[derive(Clone)]
pub struct Memory(pub Vec<Vec<Block>>);

impl Memory {
    fn place(&mut self, region: Region, number: u64) -> Result<&mut Block, Failed> {
        let blocks = self.0.get_mut(region.0).ok_or(Failed)?;
        blocks.get_mut(number as usize).ok_or(Failed)
    }
}

impl Storage for Memory {
    const CRC32C: Crc32c = crc32c::crc32c;

    fn has(&self, region: Region) -> bool {
        region.0 < self.0.len()
    }

    fn read(&mut self, region: Region, number: u64, block: &mut Block) -> Result<(), Failed> {
        block.copy_from_slice(self.place(region, number)?);
        Ok(())
    }

    fn write(&mut self, region: Region, number: u64, block: &Block) -> Result<(), Failed> {
        self.place(region, number)?.copy_from_slice(block);
        Ok(())
    }

    fn write_through(&mut self, region: Region, number: u64, block: &Block) -> Result<(), Failed> {
        self.write(region, number, block)
    }

    fn flush(&mut self, _: Region) -> Result<(), Failed> {
        Ok(())
    }
}

fn geometry() -> Geometry {
    let disk = Device {
        logical_block: 512,
        physical_block: 512,
        sectors: 1 << 20,
    };
    let area = |len| Area { start: 0, len };
    Geometry::new(disk, area(MAIN_SECTORS), disk, area(SPARE_SECTORS), None).unwrap()
}

/// What an array holds: the spare unit and the valid blocks of each relocated unit.
pub type Model = BTreeMap<u64, (u64, u64)>;

/// An array with some commits and checkpoints, and what it held after each commit.
pub fn history() -> (Memory, Vec<Model>) {
    let array = Array {
        uuid: Uuid([1; 16]),
        main: Uuid::NIL,
        spare: Uuid([3; 16]),
        unit_sectors: 8,
        block_sectors: 1,
        main_sectors: MAIN_SECTORS,
        spare_sectors: SPARE_SECTORS,
    };
    let blank = vec![[0; BLOCK_BYTES]; array.regions().region_blocks() as usize];
    let mut memory = Memory(vec![blank; SPARE_REGIONS]);
    let mut block = blank_block();
    let mut journal = Journal::format(array, &memory, 0);
    let mut models = vec![Model::new()];
    let mut checkpoint = |journal: &mut Journal, memory: &mut Memory, model: &Model| {
        let records = model
            .iter()
            .map(|(&unit, &(spare, valid))| Record::Relocated {
                unit: Unit(unit),
                spare: SpareUnit(spare),
                valid: Blocks::from_bits(valid),
            });
        let contents = Contents {
            relocated: model.len() as u64,
            retired: 0,
            records,
        };
        let standing = Standing::default();
        journal
            .checkpoint(memory, &mut block, &standing, contents)
            .unwrap();
    };
    checkpoint(&mut journal, &mut memory, &models[0]);
    for step in 0..40u64 {
        let mut model = models[models.len() - 1].clone();
        let unit = step * 7 % 50;
        let record = if model.remove(&unit).is_some() {
            Record::OnMain { unit: Unit(unit) }
        } else {
            let free = (0..40)
                .find(|at| model.values().all(|(spare, _)| spare != at))
                .unwrap();
            let valid = 0xff >> (step % 3);
            model.insert(unit, (free, valid));
            Record::Relocated {
                unit: Unit(unit),
                spare: SpareUnit(free),
                valid: Blocks::from_bits(valid),
            }
        };
        let mut block = blank_block();
        journal
            .commit(&mut memory, &mut block, &Standing::default(), &[record])
            .unwrap();
        if step == 15 || step == 30 {
            checkpoint(&mut journal, &mut memory, &model);
        }
        models.push(model);
    }
    (memory, models)
}

/// Reads an array as the target does: the last commit, and what it holds.
pub fn read(memory: &mut Memory) -> Result<(u64, Model), Unreadable> {
    let contained = Contained::read(memory, &geometry())?;
    let units = contained.map.iter_from(Unit(0));
    let units = units.filter_map(|(unit, entry)| match entry.state {
        State::Relocated { spare, valid } => Some((unit.0, (spare.0, valid.bits()))),
        _ => None,
    });
    Ok((contained.choice.chain.end, units.collect()))
}
