// SPDX-License-Identifier: GPL-2.0

//! Reading the state of the region that was chosen.

use super::array::Head;
use super::block::{
    parent,
    Block,
    Kind, //
};
use super::record::{
    self,
    In,
    Record, //
};
use super::standing::Standing;
use super::storage::{
    Region,
    Storage, //
};
use super::survey::{
    read_own,
    Choice,
    Refused, //
};

/// Reads a checkpoint's records and those of the commits that follow it, in order, and gives each
/// to `apply`; the small state of the last commit.
///
/// An error of `apply` ends the reading.
pub fn load<S: Storage, E: From<Refused>>(
    storage: &mut S,
    block: &mut Block,
    choice: &Choice,
    mut apply: impl FnMut(Record) -> Result<(), E>,
) -> Result<Standing, E> {
    let (head, mut session) = head(storage, block, choice)?;
    checkpoint(storage, block, choice, (&head, session), &mut apply)?;
    let array = &choice.identity.array;
    let regions = array.regions();
    let mut standing = head.standing;
    for generation in head.generation.saturating_add(1)..=choice.chain.end {
        let number = regions.log(generation);
        let header = read_own(storage, block, array, choice.region, number, Kind::Log)
            .ok()
            .filter(|header| header.generation == generation && parent(block) == session)
            .ok_or(Refused::Changed)?;
        session = header.session;
        for record in record::read(block, In::Log, header.count) {
            apply(record.ok_or(Refused::Inconsistent)?)?;
        }
        standing = Standing::read(block);
    }
    Ok(standing)
}

/// Reads the head of the checkpoint, and its session.
fn head<S: Storage>(
    storage: &mut S,
    block: &mut Block,
    choice: &Choice,
) -> Result<(Head, u64), Refused> {
    let array = &choice.identity.array;
    let number = array.regions().header(choice.chain.slot);
    let header = read_own(
        storage,
        block,
        array,
        choice.region,
        number,
        Kind::Checkpoint,
    );
    header
        .ok()
        .and_then(|header| Some((Head::read(block, &header)?, header.session)))
        .filter(|(head, _)| head.generation == choice.chain.checkpoint && head.array == *array)
        .ok_or(Refused::Changed)
}

/// Reads the records of a checkpoint: relocated units in order, then retired spare units in order.
fn checkpoint<S: Storage, E: From<Refused>>(
    storage: &mut S,
    block: &mut Block,
    choice: &Choice,
    (head, session): (&Head, u64),
    apply: &mut impl FnMut(Record) -> Result<(), E>,
) -> Result<(), E> {
    let array = &choice.identity.array;
    let first = array.regions().records(choice.chain.slot);
    let blocks = head.record_blocks().ok_or(Refused::Inconsistent)?;
    let mut left = [head.relocated, head.retired];
    let mut last = None;
    for number in first..first.saturating_add(blocks) {
        let region: Region = choice.region;
        let header = read_own(storage, block, array, region, number, Kind::Records)
            .ok()
            .filter(|header| (header.generation, header.session) == (head.generation, session))
            .ok_or(Refused::Changed)?;
        for record in record::read(block, In::Checkpoint, header.count) {
            let record = record.ok_or(Refused::Inconsistent)?;
            let (kind, key) = match record {
                Record::Relocated { unit, .. } => (0, unit.0),
                Record::Retired { spare } => (1, spare.0),
                Record::OnMain { .. } => return Err(Refused::Inconsistent.into()),
            };
            let expected = left.get_mut(kind).filter(|left| **left > 0);
            *expected.ok_or(Refused::Inconsistent)? -= 1;
            if last >= Some((kind, key)) {
                return Err(Refused::Inconsistent.into());
            }
            last = Some((kind, key));
            apply(record)?;
        }
    }
    if left != [0, 0] {
        return Err(Refused::Inconsistent.into());
    }
    Ok(())
}
