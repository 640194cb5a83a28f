// SPDX-License-Identifier: GPL-2.0

//! A model of an array that is written to, loses its power, is damaged, and is read again.

use super::array::Array;
use super::block::{
    Address,
    Block,
    Features,
    Header,
    Kind,
    ALONE,
    BLOCK_BYTES, //
};
use super::journal::{
    Contents,
    Journal,
    Size, //
};
use super::load::load;
use super::memory::{
    Memory,
    PowerCut, //
};
use super::record::Record;
use super::replay::{
    Conflict,
    Replay, //
};
use super::standing::{
    End,
    Standing, //
};
use super::storage::Region;
use super::survey::{
    choose,
    choose_moved,
    choose_region,
    choose_without_spare,
    Choice,
    Refused, //
};
use super::uuid::Uuid;
use crate::blocks::Blocks;
use crate::geometry::{
    Area,
    Device,
    Geometry,
    SpareUnit,
    Unit, //
};
use crate::index::{
    tests::Host,
    State, //
};
use crate::region_layout::{
    Regions,
    Slot,
    SPARE_REGIONS, //
};
use crate::spares::{
    words_for,
    Spares, //
};
use proptest::prelude::*;
use std::collections::{
    BTreeMap,
    BTreeSet, //
};

const MAIN_SECTORS: u64 = 8 * 300;
/// 40 spare units.
const SPARE_SECTORS: u64 = 4096 + 40 * 8;

fn geometry() -> Geometry {
    let disk = Device {
        logical_block: 512,
        physical_block: 512,
        sectors: 1 << 20,
    };
    let area = |len| Area { start: 0, len };
    Geometry::new(disk, area(MAIN_SECTORS), disk, area(SPARE_SECTORS), None).unwrap()
}

fn array(on_main: bool) -> Array {
    Array {
        uuid: Uuid([1; 16]),
        main: Uuid([if on_main { 2 } else { 0 }; 16]),
        spare: Uuid([3; 16]),
        unit_sectors: 8,
        block_sectors: 1,
        main_sectors: MAIN_SECTORS,
        spare_sectors: SPARE_SECTORS,
    }
}

/// What an array should hold.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    units: BTreeMap<u64, (u64, u64)>,
    retired: BTreeSet<u64>,
    standing: Standing,
}

impl Model {
    fn records(&self) -> Vec<Record> {
        let units = self
            .units
            .iter()
            .map(|(&unit, &(spare, valid))| Record::Relocated {
                unit: Unit(unit),
                spare: SpareUnit(spare),
                valid: Blocks::from_bits(valid),
            });
        let retired = self.retired.iter().map(|&unit| Record::Retired {
            spare: SpareUnit(unit),
        });
        units.chain(retired).collect()
    }

    fn free(&self) -> Option<u64> {
        let used: BTreeSet<u64> = self.units.values().map(|&(spare, _)| spare).collect();
        (0..geometry().spare_units()).find(|at| !used.contains(at) && !self.retired.contains(at))
    }

    /// Does one thing that a target does; the records that say so.
    fn step(&mut self, what: u8, unit: u64, valid: u64) -> Vec<Record> {
        let old = self.units.get(&unit).copied();
        let mut records = Vec::new();
        match (what % 4, old, self.free()) {
            (0, Some(_), _) => {
                self.units.remove(&unit);
                records.push(Record::OnMain { unit: Unit(unit) });
            }
            (1, Some((spare, _)), _) => {
                self.units.insert(unit, (spare, valid));
                records.push(relocated(unit, spare, valid));
            }
            (_, old, Some(spare)) => {
                self.units.insert(unit, (spare, valid));
                records.push(relocated(unit, spare, valid));
                if let Some((bad, _)) = old {
                    self.retired.insert(bad);
                    let spare = SpareUnit(bad);
                    records.push(Record::Retired { spare });
                }
            }
            _ => {}
        }
        self.standing.counters[0] += 1;
        self.standing.end = (unit % 2 == 0).then(End::default);
        records
    }
}

fn relocated(unit: u64, spare: u64, valid: u64) -> Record {
    Record::Relocated {
        unit: Unit(unit),
        spare: SpareUnit(spare),
        valid: Blocks::from_bits(valid),
    }
}

struct Writer {
    journal: Journal,
    model: Model,
    block: Box<Block>,
}

impl Writer {
    /// The same once more.
    fn again(&self) -> Self {
        Self {
            journal: self.journal.clone(),
            model: self.model.clone(),
            block: self.block.clone(),
        }
    }

    fn checkpoint(&mut self, memory: &mut Memory) -> Result<usize, super::journal::Dead> {
        let contents = Contents {
            size: Size {
                relocated: self.model.units.len() as u64,
                retired: self.model.retired.len() as u64,
            },
            records: self.model.records().into_iter(),
        };
        let standing = self.model.standing;
        self.journal
            .checkpoint(memory, &mut self.block, &standing, contents)
    }

    /// Commits one step, with a checkpoint before it where one is due.
    fn step(
        &mut self,
        memory: &mut Memory,
        (what, unit, valid): Step,
    ) -> Result<(), super::journal::Dead> {
        if self.journal.is_due() || what >= 10 {
            self.checkpoint(memory)?;
        }
        let mut after = self.model.clone();
        let records = after.step(what, unit, valid);
        self.journal
            .commit(memory, &mut self.block, &after.standing, &records)?;
        self.model = after;
        Ok(())
    }
}

type Step = (u8, u64, u64);

fn step() -> impl Strategy<Value = Step> {
    (0u8..11, 0u64..50, 0u64..256)
}

fn formatted(on_main: bool) -> (Memory, Writer) {
    let array = array(on_main);
    let mut memory = Memory::new(&array.regions(), if on_main { 4 } else { 2 });
    let mut writer = Writer {
        journal: Journal::format(array, &memory, 0, 1),
        model: Model::default(),
        block: Box::new([0; BLOCK_BYTES]),
    };
    writer.checkpoint(&mut memory).unwrap();
    (memory, writer)
}

#[derive(Debug, PartialEq)]
enum Failure {
    Refused(Refused),
    Conflict(Conflict),
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// Reads the array as the target does.
fn read(memory: &mut Memory) -> Result<Writer, Failure> {
    let mut block = Box::new([0; BLOCK_BYTES]);
    let choice = choose(memory, &mut block, &Regions::for_spare(SPARE_SECTORS))?;
    read_chosen(memory, choice)
}

fn read_chosen(memory: &mut Memory, choice: Choice) -> Result<Writer, Failure> {
    let mut block = Box::new([0; BLOCK_BYTES]);
    let geometry = geometry();
    let words = vec![0; words_for(geometry.spare_units()) as usize];
    let mut spares = Spares::new(words.clone(), words, geometry.spare_units()).unwrap();
    let mut replay = Replay::default();
    let standing = load(memory, &mut block, &choice, |record| {
        let applied = replay.apply(&geometry, &mut Host::for_an_update(), &mut spares, record);
        applied.map_err(Failure::Conflict)
    })?;
    let map = replay
        .finish(&mut Host::for_an_update())
        .map_err(Failure::Conflict)?;
    let units = map
        .iter_from(Unit(0))
        .map(|(unit, entry)| match entry.state {
            State::Relocated { spare, valid } => (unit.0, (spare.0, valid.bits())),
            _ => panic!("not relocated"),
        });
    let model = Model {
        units: units.collect(),
        retired: spares.retired_units().map(|unit| unit.0).collect(),
        standing,
    };
    assert_eq!(spares.in_use(), model.units.len() as u64);
    Ok(Writer {
        journal: Journal::resume(&choice, choice.chain.session + 1),
        model,
        block,
    })
}

#[test]
fn blank_regions_are_blank_and_no_others() {
    let regions = array(false).regions();
    let mut memory = Memory::new(&regions, 2);
    let mut block = Box::new([0; BLOCK_BYTES]);
    let refused =
        |memory: &mut Memory, block: &mut Block| choose(memory, block, &regions).unwrap_err();
    assert_eq!(refused(&mut memory, &mut block), Refused::Blank);
    for at in [0, 1, 100, regions.region_blocks() - 1] {
        memory.place(1, at)[4095] = 1;
        assert_eq!(
            refused(&mut memory, &mut block),
            Refused::Foreign,
            "block {at}"
        );
        memory.place(1, at)[4095] = 0;
    }
    memory.bad.insert((0, 77));
    assert_eq!(refused(&mut memory, &mut block), Refused::Unreadable);
}

#[test]
fn thousands_of_commits() {
    let (mut memory, mut writer) = formatted(true);
    for n in 0..3000u64 {
        writer
            .step(&mut memory, ((n % 7) as u8, n * 7 % 31, n % 256))
            .unwrap();
        if n % 61 == 0 {
            assert_eq!(
                read(&mut memory).ok().map(|w| w.model),
                Some(writer.model.clone())
            );
        }
    }
    assert!(writer.journal.generation() == 3000);
}

/// At any time, whichever checkpoint of the only copy is damaged, the other leads to the same
/// state.
#[test]
fn either_checkpoint_will_do() {
    let (mut memory, mut writer) = formatted(false);
    let regions = array(false).regions();
    for n in 0..700u64 {
        let step = ((n % 7) as u8, n * 7 % 31, n % 256);
        writer.step(&mut memory, step).unwrap();
        let mut alone = memory.clone();
        alone.wipe(1);
        // In the first round there is only one.
        if n >= 2 * regions.commits_per_checkpoint() && n % 5 == 0 {
            for slot in Slot::BOTH {
                let mut damaged = alone.clone();
                damaged.place(0, regions.header(slot))[300] ^= 1;
                let got = read(&mut damaged).ok().map(|writer| writer.model);
                assert_eq!(got.as_ref(), Some(&writer.model), "commit {n}");
            }
        }
    }
}

#[test]
fn named_refusals() {
    let (good, _) = formatted(true);
    let refused = |memory: &mut Memory| match read(memory) {
        Err(Failure::Refused(reason)) => reason,
        _ => panic!("not refused"),
    };
    // The regions of the spare, exchanged.
    let mut memory = good.clone();
    memory.blocks.swap(0, 1);
    memory.blocks[2..].fill(None);
    assert_eq!(refused(&mut memory), Refused::Swapped);
    // Another array's spare.
    let mut other = array(true);
    other.uuid = Uuid([9; 16]);
    let mut memory = good.clone();
    let mut block = Box::new([0; BLOCK_BYTES]);
    let nothing = Contents {
        size: Size {
            relocated: 0,
            retired: 0,
        },
        records: std::iter::empty(),
    };
    let mut foreign = Memory::new(&other.regions(), 4);
    let mut journal = Journal::format(other, &foreign, 0, 1);
    journal
        .checkpoint(&mut foreign, &mut block, &Standing::default(), nothing)
        .unwrap();
    memory.blocks[0] = foreign.blocks[0].clone();
    memory.blocks[1] = foreign.blocks[1].clone();
    assert_eq!(refused(&mut memory), Refused::Mixed);
    // A new disk in place of the spare.
    let mut memory = good.clone();
    for region in 0..SPARE_REGIONS {
        memory.wipe(region);
    }
    assert_eq!(refused(&mut memory), Refused::SpareStale);
    // Everything destroyed.
    let mut memory = good.clone();
    for region in 0..4 {
        memory.place(region, 0)[5] ^= 1;
    }
    assert_eq!(refused(&mut memory), Refused::Foreign);
    let mut memory = good.clone();
    for region in 0..4 {
        memory.place(region, 0)[500] ^= 1;
    }
    assert_eq!(refused(&mut memory), Refused::Destroyed);
}

/// Marks are no heads: what is whole beside them is believed, unless they say that it must not be.
#[test]
fn marks_of_unfinished_writes() {
    let regions = array(true).regions();
    let mark = |memory: &mut Memory, region: usize, slot: Slot, count: u32| {
        let region_of = Region(region);
        let header = Header {
            kind: Kind::Unfinished,
            address: Address {
                array: Uuid([9; 16]),
                device: Uuid([8; 16]),
                role: region_of.role(),
                region: region_of.number(),
                number: regions.header(slot),
            },
            features: Features::WRITTEN,
            generation: 0,
            count,
            session: 0,
        };
        let mut block = [0; BLOCK_BYTES];
        header.seal(&mut block, crc32c::crc32c);
        *memory.place(region, regions.header(slot)) = block;
    };
    let reason = |memory: &mut Memory| match read(memory) {
        Ok(_) => None,
        Err(Failure::Refused(reason)) => Some(reason),
        Err(_) => panic!("a record that contradicts another"),
    };
    // One mark is enough for a spare not to be blank, wherever it is.
    for region in 0..4 {
        for slot in Slot::BOTH {
            let mut memory = Memory::new(&regions, 4);
            mark(&mut memory, region, slot, 0);
            assert_eq!(reason(&mut memory), Some(Refused::Unfinished));
            // It says more than what else is wrong there.
            memory.place(1 - region % 2, regions.header(slot))[77] = 1;
            memory.bad.insert((0, 77));
            assert_eq!(reason(&mut memory), Some(Refused::Unfinished));
        }
    }
    let (good, writer) = busy(true);
    let mut memory = good.clone();
    for region in [2, 3, 0] {
        for slot in Slot::BOTH {
            mark(&mut memory, region, slot, 0);
            let whole = read(&mut memory).ok().map(|writer| writer.model);
            assert_eq!(whole, Some(writer.model.clone()));
        }
    }
    for slot in Slot::BOTH {
        mark(&mut memory, 1, slot, 0);
    }
    assert_eq!(reason(&mut memory), Some(Refused::Unfinished));
    for region in 0..4 {
        let mut memory = good.clone();
        mark(&mut memory, region, Slot::B, ALONE);
        assert_eq!(reason(&mut memory), Some(Refused::Unfinished));
    }
    // In another's place it is as wrong as a head.
    let mut memory = good.clone();
    mark(&mut memory, 1, Slot::A, 0);
    memory.blocks.swap(0, 1);
    memory.blocks[2..].fill(None);
    assert_eq!(reason(&mut memory), Some(Refused::Swapped));
}

#[test]
fn an_old_spare_is_refused() {
    let (mut memory, mut writer) = formatted(true);
    let old = memory.clone();
    writer.step(&mut memory, (2, 3, 255)).unwrap();
    memory.blocks[..SPARE_REGIONS].clone_from_slice(&old.blocks[..SPARE_REGIONS]);
    assert_eq!(
        read(&mut memory).err(),
        Some(Failure::Refused(Refused::SpareStale))
    );
}

/// An array with something in each kind of block, in both slots and in the log.
fn busy(on_main: bool) -> (Memory, Writer) {
    let (mut memory, mut writer) = formatted(on_main);
    for n in 0..60u64 {
        let what = if n % 25 == 24 { 10 } else { (n % 7) as u8 };
        let step = (what, n * 7 % 31, n % 256);
        writer.step(&mut memory, step).unwrap();
    }
    (memory, writer)
}

/// Whatever block of one region is torn at whatever sector, or has whatever kind of bit flipped.
#[test]
fn damage_of_one_region_is_made_good() {
    let (good, writer) = busy(false);
    let regions = array(false).regions();
    let used = |memory: &Memory, number: u64| {
        memory.blocks[0].as_ref().unwrap()[number as usize] != [0; BLOCK_BYTES]
    };
    let mut tried = 0;
    let mut check = |number: u64, what: &str, damage: &dyn Fn(&mut Block)| {
        for region in 0..SPARE_REGIONS {
            let mut memory = good.clone();
            damage(memory.place(region, number));
            let got = read(&mut memory).map(|got| got.model);
            assert_eq!(got.as_ref(), Ok(&writer.model), "block {number}: {what}");
            tried += 1;
        }
    };
    for number in (0..regions.region_blocks()).filter(|&at| used(&good, at)) {
        for sector in 0..8 {
            check(number, "torn", &|block| block[sector * 512..].fill(0));
            check(number, "torn", &|block| {
                block[..sector * 512 + 512].fill(0xff)
            });
        }
    }
    let kinds = [
        regions.header(Slot::A),
        regions.records(Slot::A),
        regions.log(55),
    ];
    for number in kinds {
        assert!(used(&good, number));
        for at in (0..360).chain((360..BLOCK_BYTES).step_by(97)) {
            check(number, "a flipped bit", &|block| block[at] ^= 1 << (at % 8));
        }
    }
    assert!(tried > 2000);
}

/// A checkpoint whose records are of another generation than its head is not believed.
#[test]
fn a_checkpoint_of_two_generations() {
    let (mut memory, mut writer) = formatted(false);
    let regions = array(false).regions();
    let mut older = memory.clone();
    for round in 0..2 {
        older = memory.clone();
        for n in 0..5 {
            let step = (2, n + 5 * round, 255);
            writer.step(&mut memory, step).unwrap();
        }
        writer.checkpoint(&mut memory).unwrap();
        writer.checkpoint(&mut memory).unwrap();
    }
    memory.wipe(1);
    for slot in Slot::BOTH {
        let number = regions.records(slot);
        let mut mixed = memory.clone();
        *mixed.place(0, number) = *older.place(0, number);
        assert_ne!(mixed.place(0, number), memory.place(0, number));
        let got = read(&mut mixed).map(|got| got.model);
        assert_eq!(got.as_ref(), Ok(&writer.model), "slot {slot:?}");
    }
}

/// Any one region stands for the array, when there is nothing sensible in all others. One of main's
/// does when somebody says that the spare is the right one.
#[test]
fn one_region_is_enough() {
    for (on_main, count) in [(false, 2), (true, 4)] {
        let (good, writer) = busy(on_main);
        for survivor in 0..count {
            let mut memory = good.clone();
            for region in (0..count).filter(|&region| region != survivor) {
                for block in memory.blocks[region].as_mut().unwrap() {
                    for (at, byte) in block.iter_mut().enumerate() {
                        *byte = (at * 31 + region) as u8;
                    }
                }
            }
            let regions = Regions::for_spare(SPARE_SECTORS);
            let mut block = Box::new([0; BLOCK_BYTES]);
            let alone = choose_without_spare(&mut memory, &mut block, &regions);
            assert_eq!(alone.is_ok(), survivor >= SPARE_REGIONS);
            let got = match alone {
                Err(_) => read(&mut memory),
                Ok(choice) => {
                    let refused = read(&mut memory).map(|_| ());
                    assert_eq!(refused, Err(Failure::Refused(Refused::SpareStale)));
                    read_chosen(&mut memory, choice)
                }
            };
            let got = got.map(|got| got.model);
            assert_eq!(got.as_ref(), Ok(&writer.model), "{survivor} of {count}");
        }
    }
}

#[test]
fn a_gap_in_the_only_copy_is_refused() {
    let (mut memory, mut writer) = formatted(false);
    for n in 0..10 {
        writer.step(&mut memory, (2, n, 255)).unwrap();
    }
    let regions = array(false).regions();
    memory.wipe(1);
    memory.place(0, regions.log(4)).fill(0);
    let stale = Refused::Stale {
        reached: 3,
        seen: 10,
    };
    assert_eq!(read(&mut memory).err(), Some(Failure::Refused(stale)));
}

/// The same array, activated once more: what follows is another history than that of the first.
fn reactivated(memory: &mut Memory, session: u64) -> Writer {
    let mut writer = read(memory).unwrap();
    let mut block = Box::new([0; BLOCK_BYTES]);
    let choice = choose(memory, &mut block, &array(false).regions()).unwrap();
    writer.journal = Journal::resume(&choice, session);
    writer
}

/// Two histories of one array: as many commits each, which say different things.
fn two_histories(on_main: bool, commits: u64) -> [(Memory, Writer); 2] {
    let (mut memory, mut writer) = formatted(on_main);
    for n in 0..5 {
        writer.step(&mut memory, (2, n, 255)).unwrap();
    }
    [10u64, 20].map(|session| {
        let mut memory = memory.clone();
        let mut writer = reactivated(&mut memory, session);
        for n in 0..commits {
            writer.step(&mut memory, (2, session + n, 255)).unwrap();
        }
        (memory, writer)
    })
}

/// Blocks of two histories of one array, put together in any way, are one of the histories or
/// refused.
#[test]
fn blocks_of_two_histories_are_not_mixed() {
    let [(one, first), (other, second)] = two_histories(false, 6);
    let regions = array(false).regions();
    let log = |n: u64| regions.log(5 + n);
    let mut refused = 0;
    for taken in 0u64..1 << 12 {
        let mut memory = one.clone();
        for bit in (0..12).filter(|bit| taken & (1 << bit) != 0) {
            let (region, number) = ((bit / 6) as usize, log(1 + bit % 6));
            *memory.place(region, number) = other.clone().place(region, number).to_owned();
        }
        match read(&mut memory) {
            Ok(got) => assert!(
                got.model == first.model || got.model == second.model,
                "{taken:b}: {:?}",
                got.model
            ),
            Err(Failure::Refused(Refused::Forked | Refused::Stale { .. })) => refused += 1,
            Err(failure) => panic!("{taken:b}: {failure:?}"),
        }
    }
    assert!(refused > 3900, "{refused}");
}

#[test]
fn regions_of_two_histories_are_refused() {
    for (ahead, other) in [(6, 6), (6, 2), (1, 6)] {
        let [(mut memory, _), _] = two_histories(false, ahead);
        let [_, (second, _)] = two_histories(false, other);
        memory.blocks[1] = second.blocks[1].clone();
        assert_eq!(
            read(&mut memory).err(),
            Some(Failure::Refused(Refused::Forked)),
            "{ahead} and {other}"
        );
        // Somebody who knows picks one.
        let regions = array(false).regions();
        let mut block = Box::new([0; BLOCK_BYTES]);
        for (region, end) in [(0, 5 + ahead), (1, 5 + other)] {
            let choice = choose_region(&mut memory, &mut block, &regions, Region(region)).unwrap();
            assert_eq!((choice.region, choice.chain.end), (Region(region), end));
        }
    }
}

/// A checkpoint and a log of two histories, and the parts of a checkpoint.
#[test]
fn checkpoints_of_two_histories_are_not_mixed() {
    let mut both = two_histories(false, 6);
    for (memory, writer) in &mut both {
        writer.checkpoint(memory).unwrap();
        writer.checkpoint(memory).unwrap();
        writer.step(memory, (2, 40, 255)).unwrap();
    }
    let [(mut one, first), (mut other, _)] = both;
    one.wipe(1);
    let regions = array(false).regions();
    for slot in Slot::BOTH {
        for number in [regions.header(slot), regions.records(slot)] {
            let mut mixed = one.clone();
            *mixed.place(0, number) = *other.place(0, number);
            // The other slot leads to the same state, or the log does not follow from this one.
            match read(&mut mixed) {
                Ok(got) => assert_eq!(got.model, first.model, "{number}"),
                Err(failure) => {
                    assert!(matches!(
                        failure,
                        Failure::Refused(Refused::Stale { .. } | Refused::Forked)
                    ));
                }
            }
        }
    }
}

/// A commit that no region of the spare takes is none: the array could not be loaded with main's
/// alone.
#[test]
fn a_commit_on_main_alone_fails() {
    let (mut memory, mut writer) = formatted(true);
    writer.step(&mut memory, (2, 1, 255)).unwrap();
    let number = array(true).regions().log(writer.journal.generation() + 1);
    memory.bad.extend([(0, number), (1, number)]);
    assert!(writer.step(&mut memory, (2, 2, 255)).is_err());
    memory.bad.clear();
    let got = read(&mut memory).map(|got| got.model);
    assert_eq!(got, Ok(writer.model));
}

/// A region that missed commits is not believed when the other cannot be read any more.
#[test]
fn a_region_that_missed_commits_is_refused() {
    let regions = array(false).regions();
    for missed in [1, 20] {
        let (mut memory, mut writer) = formatted(false);
        writer.step(&mut memory, (2, 1, 255)).unwrap();
        let failing = (0, regions.log(writer.journal.generation() + 1));
        memory.bad.insert(failing);
        writer.step(&mut memory, (0, 1, 255)).unwrap();
        assert_eq!(writer.journal.good(), 1);
        for n in 1..missed {
            writer.step(&mut memory, (2, 7 + n, 255)).unwrap();
        }
        memory.bad.clear();
        // The array is whole, and the region comes back.
        let mut whole = memory.clone();
        let mut again = read(&mut whole).unwrap();
        assert_eq!(again.model, writer.model);
        again.checkpoint(&mut whole).unwrap();
        whole.wipe(1);
        assert_eq!(read(&mut whole).map(|got| got.model), Ok(again.model));
        // By itself it is refused.
        for number in 0..regions.region_blocks() {
            memory.bad.insert((1, number));
        }
        assert!(
            matches!(
                read(&mut memory).err(),
                Some(Failure::Refused(Refused::Stale { .. }))
            ),
            "{missed} missed"
        );
    }
}

impl Writer {
    /// Tries to bring regions back; how many came.
    fn revive(&mut self, memory: &mut Memory) -> usize {
        let contents = Contents {
            size: Size {
                relocated: self.model.units.len() as u64,
                retired: self.model.retired.len() as u64,
            },
            records: self.model.records().into_iter(),
        };
        let standing = self.model.standing;
        let block = &mut self.block;
        self.journal
            .revive(memory, block, &standing, contents)
            .unwrap()
    }
}

/// What a region held before it was brought back does not make another history of the array.
#[test]
fn a_region_that_came_back_is_no_fork() {
    let regions = array(false).regions();
    let (mut memory, mut writer) = formatted(false);
    for n in 0..5 {
        writer.step(&mut memory, (2, n, 255)).unwrap();
    }
    // The power goes when one region has a commit that was not acknowledged.
    let before = memory.clone();
    writer.step(&mut memory, (2, 10, 255)).unwrap();
    memory.blocks[1] = before.blocks[1].clone();
    // That region cannot be read the next time, and is brought back later.
    for number in 0..regions.region_blocks() {
        memory.bad.insert((0, number));
    }
    let mut writer = reactivated(&mut memory, 77);
    for n in 0..7 {
        writer.step(&mut memory, (2, 20 + n, 255)).unwrap();
    }
    memory.bad.clear();
    assert_eq!(writer.revive(&mut memory), 1);
    for n in 0..3 {
        writer.step(&mut memory, (2, 30 + n, 255)).unwrap();
    }
    // A block of the other fails.
    memory.bad.insert((1, regions.log(7)));
    assert_eq!(read(&mut memory).map(|got| got.model), Ok(writer.model));
}

/// A region of which one slot fails is brought back by the other.
#[test]
fn one_bad_slot_is_stepped_over() {
    let (mut memory, mut writer) = formatted(false);
    memory
        .bad
        .insert((0, array(false).regions().header(Slot::B)));
    let mut came_back = 0;
    for n in 0..500 {
        let what = (n % 2 * 2) as u8;
        writer.step(&mut memory, (what, n % 30 / 2, 255)).unwrap();
        if writer.journal.good() == 1 {
            assert_eq!(writer.revive(&mut memory), 1, "commit {n}");
            came_back += 1;
        }
    }
    assert!(came_back > 0);
}

/// A writer that knows nothing of sessions would break the chain: the heads of an array that has
/// them say so, also when it was made without.
#[test]
fn who_knows_no_sessions_may_not_write() {
    let regions = array(false).regions();
    let (mut memory, mut writer) = formatted(false);
    writer.step(&mut memory, (2, 1, 255)).unwrap();
    let flags = |memory: &mut Memory| {
        let mut found = Features::default();
        for region in 0..SPARE_REGIONS {
            for slot in Slot::BOTH {
                let head = Header::read(memory.place(region, regions.header(slot)), crc32c::crc32c);
                found = found.with(head.map(|head| head.features).unwrap_or_default());
            }
        }
        found
    };
    assert_eq!(flags(&mut memory), Features::WRITTEN);
    for region in 0..SPARE_REGIONS {
        let head = memory.place(region, 0);
        let mut header = Header::read(head, crc32c::crc32c).unwrap();
        header.features = Features::default();
        header.seal(head, crc32c::crc32c);
    }
    assert_eq!(flags(&mut memory), Features::default());
    let mut writer = reactivated(&mut memory, 2);
    assert!(writer.journal.is_due());
    writer.step(&mut memory, (2, 2, 255)).unwrap();
    assert_eq!(flags(&mut memory), Features::WRITTEN);
    assert_eq!(read(&mut memory).map(|got| got.model), Ok(writer.model));
}

/// Reads an array whose data may be on another disk.
fn read_moved(memory: &mut Memory) -> Result<Model, Failure> {
    let mut block = Box::new([0; BLOCK_BYTES]);
    let choice = choose_moved(memory, &mut block, &Regions::for_spare(SPARE_SECTORS))?;
    read_chosen(memory, choice).map(|writer| writer.model)
}

/// Has both heads of all regions say that the data are on another disk.
fn mark_moved(memory: &mut Memory, writer: &mut Writer) -> Result<(), super::journal::Dead> {
    writer.journal.mark_moved();
    for _ in 0..2 {
        writer.checkpoint(memory)?;
    }
    Ok(())
}

/// Whatever single head is left, it says that the data are on another disk.
#[test]
fn an_array_whose_data_moved_is_refused() {
    for on_main in [false, true] {
        let (mut memory, mut writer) = busy(on_main);
        mark_moved(&mut memory, &mut writer).unwrap();
        assert_eq!(read_moved(&mut memory), Ok(writer.model.clone()));
        let regions = array(on_main).regions();
        let heads = (0..SPARE_REGIONS).flat_map(|at| Slot::BOTH.map(|slot| (at, slot)));
        let heads: Vec<_> = heads.collect();
        for left in &heads {
            let mut damaged = memory.clone();
            for (region, slot) in heads.iter().filter(|head| *head != left) {
                damaged.place(*region, regions.header(*slot)).fill(0xaa);
            }
            let refused = Some(Failure::Refused(Refused::Moved));
            assert_eq!(read(&mut damaged).err(), refused, "{left:?}");
        }
    }
}

/// After a power cut it is the array that it was, or one whose data moved.
#[test]
fn the_power_goes_while_data_are_said_to_have_moved() {
    for on_main in [false, true] {
        let (good, writer) = busy(on_main);
        let refused = Some(Failure::Refused(Refused::Moved));
        let (mut whole, mut all) = (good.clone(), writer.again());
        mark_moved(&mut whole, &mut all).unwrap();
        let mut moved = 0;
        for after in 0..whole.writes - good.writes {
            for (sectors, kept) in [(0, 0), (3, u64::MAX), (7, 0x5555_5555_5555_5555)] {
                let (mut memory, mut writer) = (good.clone(), writer.again());
                memory.cut_power(PowerCut {
                    after,
                    sectors,
                    kept,
                });
                let _ = mark_moved(&mut memory, &mut writer);
                memory.restart();
                match read(&mut memory).map(|got| got.model) {
                    Ok(model) => assert_eq!(model, writer.model, "{after}"),
                    Err(error) => {
                        assert_eq!(Some(error), refused, "{after}");
                        moved += 1;
                    }
                }
                assert_eq!(read_moved(&mut memory), Ok(writer.model), "{after}");
            }
        }
        assert!(moved > 10);
    }
}

/// One block of a ring that fails does not say that main takes no writes.
#[test]
fn main_takes_writes_where_one_block_fails() {
    let (mut memory, mut writer) = formatted(true);
    let regions = array(true).regions();
    let number = regions.log(writer.journal.generation() + 1);
    memory.bad.extend([(2, number), (3, number)]);
    writer.step(&mut memory, (2, 1, 255)).unwrap();
    assert!(!writer.journal.has_good_on_main() && writer.journal.main_took_one());
    writer.checkpoint(&mut memory).unwrap();
    for number in 0..regions.region_blocks() {
        memory.bad.extend([(2, number), (3, number)]);
    }
    writer.step(&mut memory, (2, 2, 255)).unwrap();
    assert!(!writer.journal.main_took_one());
}

/// A blank spare does not hide the copies that main has, wherever the table says that main ends.
#[test]
fn a_blank_spare_does_not_hide_copies_on_main() {
    let (good, _) = busy(true);
    let regions = array(true).regions();
    for survivor in 2..4 {
        let mut memory = good.clone();
        for region in (0..4).filter(|&region| region != survivor) {
            memory.wipe(region);
        }
        memory.is_over_main = true;
        assert_eq!(
            read(&mut memory).err(),
            Some(Failure::Refused(Refused::SpareStale)),
            "region {survivor}"
        );
        memory.wipe(survivor);
        assert_eq!(
            read(&mut memory).err(),
            Some(Failure::Refused(Refused::Blank))
        );
    }
    // Nobody knows what a main that cannot be read has.
    let mut memory = good.clone();
    (0..4).for_each(|region| memory.wipe(region));
    (memory.is_over_main, memory.is_main_away) = (true, true);
    assert_eq!(
        read(&mut memory).err(),
        Some(Failure::Refused(Refused::Unreadable))
    );
    // Main has room for one region only, which does not end with it.
    let mut memory = good.clone();
    (0..2).for_each(|region| memory.wipe(region));
    memory.is_over_main = true;
    let behind = regions.region_blocks() as usize / 2;
    memory.blocks[2]
        .as_mut()
        .unwrap()
        .extend(vec![[0; BLOCK_BYTES]; behind]);
    memory.blocks[3] = None;
    assert_eq!(
        read(&mut memory).err(),
        Some(Failure::Refused(Refused::SpareStale))
    );
}

/// A head lies within its first sector, so that the first one of all, written to blank blocks, is
/// never torn: it is there or not.
#[test]
fn a_head_is_never_torn_over_blank_blocks() {
    let (mut memory, _) = formatted(false);
    let head = *memory.place(0, 0);
    assert!(head[512..].iter().all(|&byte| byte == 0) && head[..512] != [0; 512]);
}

/// What is seen after a power cut: the state that was acknowledged, or the one that was under way.
fn check_after_cut(
    memory: &mut Memory,
    before: &Model,
    last: Step,
) -> Result<Writer, TestCaseError> {
    let got = read(memory).map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
    let mut after = before.clone();
    after.step(last.0, last.1, last.2);
    prop_assert!(
        got.model == *before || got.model == after,
        "{:?}\n{:?}",
        got.model,
        before
    );
    Ok(got)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Power cuts at any write, torn at any sector, with any part of the cache lost, again and
    /// again.
    #[test]
    fn survives_power_cuts(
        on_main in any::<bool>(),
        lives in prop::collection::vec(
            (prop::collection::vec(step(), 1..60), 0usize..300, 0usize..8, any::<u64>()), 1..6),
    ) {
        let (mut memory, mut writer) = formatted(on_main);
        for (steps, after, sectors, kept) in lives {
            memory.cut_power(PowerCut { after, sectors, kept });
            let mut last = (0, 0, 0);
            for step in steps {
                last = step;
                if writer.step(&mut memory, step).is_err() {
                    break;
                }
            }
            memory.restart();
            writer = check_after_cut(&mut memory, &writer.model, last)?;
            writer.checkpoint(&mut memory).unwrap();
            prop_assert_eq!(writer.journal.good(), writer.journal.total());
        }
    }

    /// One region destroyed or one block of it damaged in any way leaves the newest state.
    #[test]
    fn survives_damage(
        steps in prop::collection::vec(step(), 1..200), region in 0usize..2,
        damage in 0u8..4, number in any::<prop::sample::Index>(), bit in 0usize..BLOCK_BYTES * 8,
    ) {
        let (mut memory, mut writer) = formatted(false);
        for step in steps {
            writer.step(&mut memory, step).unwrap();
        }
        let blocks = array(false).regions().region_blocks();
        let number = number.index(blocks as usize) as u64;
        match damage {
            0 => memory.place(region, number)[bit / 8] ^= 1 << (bit % 8),
            1 => memory.place(region, number)[bit / 4096 * 512..].fill(0),
            2 => {
                memory.bad.insert((region, number));
            }
            _ => memory.wipe(region),
        }
        let mut got = read(&mut memory).map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
        prop_assert_eq!(&got.model, &writer.model);
        if damage != 2 {
            // The other copy is brought up to date, and can then stand alone.
            got.checkpoint(&mut memory).unwrap();
            (0..blocks).for_each(|at| memory.place(1 - region, at).fill(0xaa));
            let again = read(&mut memory).map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
            prop_assert_eq!(again.model, writer.model);
        }
    }

    /// A damaged newest checkpoint in the only copy is made up for by the older one and the log.
    #[test]
    fn the_older_checkpoint_stands_in(
        before in prop::collection::vec(step(), 1..40), after in prop::collection::vec(step(), 0..40),
        bit in 0usize..BLOCK_BYTES * 8,
    ) {
        let (mut memory, mut writer) = formatted(false);
        for step in before {
            writer.step(&mut memory, (step.0 % 10, step.1, step.2)).unwrap();
        }
        writer.checkpoint(&mut memory).unwrap();
        for step in after {
            writer.step(&mut memory, (step.0 % 10, step.1, step.2)).unwrap();
        }
        let regions = array(false).regions();
        memory.wipe(1);
        memory.place(0, regions.header(Slot::B))[bit / 8] ^= 1 << (bit % 8);
        let got = read(&mut memory).map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
        prop_assert_eq!(got.model, writer.model);
    }

    /// Regions whose blocks fail are dropped and come back; what was committed stays.
    #[test]
    fn survives_failing_blocks(
        steps in prop::collection::vec((step(), 0u8..8, any::<prop::sample::Index>()), 1..150),
    ) {
        let (mut memory, mut writer) = formatted(true);
        let blocks = array(true).regions().region_blocks() as usize;
        for (step, weather, number) in steps {
            match weather {
                0 => {
                    let region = [0, 2, 3][number.index(3)];
                    memory.bad.insert((region, number.index(blocks) as u64));
                }
                1 => memory.bad.clear(),
                _ => {}
            }
            // One of the spare's regions never fails, so neither does a commit.
            prop_assert!(writer.step(&mut memory, step).is_ok());
            prop_assert!(writer.journal.good() >= 1);
        }
        memory.bad.clear();
        writer.checkpoint(&mut memory).unwrap();
        prop_assert_eq!(writer.journal.good(), 4);
        let got = read(&mut memory).map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
        prop_assert_eq!(got.model, writer.model);
    }

    /// Any garbage is refused, not believed and no cause to panic.
    #[test]
    fn never_panics(
        garbage in prop::collection::vec((0usize..4, any::<prop::sample::Index>(), 0usize..BLOCK_BYTES, any::<u8>()), 0..40),
        steps in prop::collection::vec(step(), 0..20),
    ) {
        let (mut memory, mut writer) = formatted(true);
        for step in steps {
            writer.step(&mut memory, step).unwrap();
        }
        let blocks = array(true).regions().region_blocks() as usize;
        for (region, number, at, value) in garbage {
            memory.place(region, number.index(blocks) as u64)[at] = value;
        }
        let _ = read(&mut memory);
    }
}
