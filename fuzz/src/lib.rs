// SPDX-License-Identifier: GPL-2.0

//! An array in memory, written by the journal and read as the target reads it.

use remap_core::blocks::Blocks;
use remap_core::geometry::{
    SpareUnit,
    Unit, //
};
use remap_core::index::State;
use remap_core::metadata::array::Array;
use remap_core::metadata::journal::Journal;
use remap_core::metadata::record::Record;
use remap_core::metadata::standing::Standing;
use remap_core::metadata::uuid::Uuid;
use remap_host::memory::Memory;
use remap_host::{
    blank_block,
    contents,
    plain_geometry,
    Contained,
    Unreadable, //
};
use std::collections::BTreeMap;

const MAIN_SECTORS: u64 = 8 * 100;
const SPARE_SECTORS: u64 = 4096 + 40 * 8;

/// The state of an array: the spare unit and the valid blocks of each relocated unit.
pub type Model = BTreeMap<u64, (u64, u64)>;

fn relocated(unit: u64, (spare, valid): (u64, u64)) -> Record {
    Record::Relocated {
        unit: Unit(unit),
        spare: SpareUnit(spare),
        valid: Blocks::from_bits(valid),
    }
}

/// An array with some commits and checkpoints, and its state after each commit.
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
    let mut memory = Memory::new(&array.regions());
    let mut block = blank_block();
    let mut journal = Journal::format(array, &memory, 0, 1);
    let mut models = vec![Model::new()];
    let mut checkpoint = |journal: &mut Journal, memory: &mut Memory, model: &Model| {
        let units = model.iter();
        let records: Vec<_> = units.map(|(&unit, &held)| relocated(unit, held)).collect();
        let standing = Standing::default();
        journal
            .checkpoint(memory, &mut block, &standing, contents(&records))
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
            relocated(unit, (free, valid))
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

/// Reads an array as the target does, and returns its last commit and its state.
pub fn read(memory: &mut Memory) -> Result<(u64, Model), Unreadable> {
    let geometry = plain_geometry(MAIN_SECTORS, SPARE_SECTORS).unwrap();
    let contained = Contained::read(memory, &geometry)?;
    let units = contained.map.iter_from(Unit(0));
    let units = units.filter_map(|(unit, entry)| match entry.state {
        State::Relocated { spare, valid } => Some((unit.0, (spare.0, valid.bits()))),
        _ => None,
    });
    Ok((contained.choice.chain.end, units.collect()))
}
