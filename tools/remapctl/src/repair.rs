// SPDX-License-Identifier: GPL-2.0

//! `remapctl repair`: all copies of the metadata are written anew, from those that survive.

use crate::array::{
    Disks,
    Found, //
};
use crate::changed;
use crate::cli::{
    self,
    Spare, //
};
use crate::device::Access;
use crate::ground::{
    InTheWay,
    Place,
    UNREADABLE, //
};
use crate::offline::{
    complaints,
    histories, //
};
use crate::random::random_session;
use crate::renew::mark;
use crate::say::Say;
use anyhow::{
    anyhow,
    bail,
    Result, //
};
use remap_core::blocks::Blocks;
use remap_core::metadata::array::Array;
use remap_core::metadata::block::{
    Block,
    Crc32c,
    Flaw,
    Header,
    Role, //
};
use remap_core::metadata::journal::{
    Dead,
    Journal, //
};
use remap_core::metadata::record::Record;
use remap_core::metadata::standing::End;
use remap_core::metadata::storage::{
    Failed,
    Region,
    Storage, //
};
use remap_core::metadata::survey::{
    all_blank,
    Refused, //
};
use remap_core::region_layout::Slot;
use remap_host::{
    blank_block,
    contents, //
};
use serde_json::json;
use std::ops::Range;
use std::process::ExitCode;

/// The devices, of which the spare is not written to.
struct OnlyMain<'a>(&'a mut Disks);

impl OnlyMain<'_> {
    fn check(region: Region) -> Result<(), Failed> {
        if region.role() == Role::MAIN {
            Ok(())
        } else {
            Err(Failed)
        }
    }
}

impl Storage for OnlyMain<'_> {
    const CRC32C: Crc32c = Disks::CRC32C;

    fn has(&self, region: Region) -> bool {
        self.0.has(region)
    }

    fn read(&mut self, region: Region, number: u64, block: &mut Block) -> Result<(), Failed> {
        self.0.read(region, number, block)
    }

    fn finds_on_main(
        &mut self,
        from_end: Range<u64>,
        block: &mut Block,
        is_wanted: &dyn Fn(&Block) -> bool,
    ) -> Result<bool, Failed> {
        self.0.finds_on_main(from_end, block, is_wanted)
    }

    fn write(&mut self, region: Region, number: u64, block: &Block) -> Result<(), Failed> {
        Self::check(region)?;
        self.0.write(region, number, block)
    }

    fn write_through(&mut self, region: Region, number: u64, block: &Block) -> Result<(), Failed> {
        Self::check(region)?;
        self.0.write_through(region, number, block)
    }

    fn flush(&mut self, region: Region) -> Result<(), Failed> {
        Self::check(region)?;
        self.0.flush(region)
    }
}

/// Clears the damaged blocks of the logs.
fn clear_logs(disks: &mut Disks, array: &Array) -> Result<()> {
    let regions = disks.regions();
    let mut block = blank_block();
    for region in Region::all() {
        if !disks.carries(array, region) {
            continue;
        }
        for generation in 0..regions.log_blocks() {
            let number = regions.log(generation);
            let read = disks.read(region, number, &mut block);
            let header = read.map(|()| Header::read(&block, crc32c::crc32c));
            if !matches!(header, Ok(Ok(_) | Err(Flaw::Blank))) {
                let cleared = disks.write(region, number, &blank_block());
                cleared.map_err(|_| anyhow!("writing {}", disks.name(region)))?;
            }
        }
        let flushed = disks.flush(region);
        flushed.map_err(|_| anyhow!("writing {}", disks.name(region)))?;
    }
    Ok(())
}

/// Writes both slots of every region, so that nothing of the log is needed; how many regions it
/// were.
fn write_both<S: Storage>(
    journal: &mut Journal,
    storage: &mut S,
    array: &Found,
    records: &[Record],
) -> Result<usize> {
    let mut written = 0;
    for _ in 0..2 {
        let standing = &array.contained.standing;
        written = journal
            .checkpoint(storage, &mut blank_block(), standing, contents(records))
            .map_err(|_| anyhow!("no copy of the metadata could be written"))?;
    }
    Ok(written)
}

/// What the metadata will say: of a spare that was replaced, that nothing is valid and nothing bad.
fn records(array: &Found, spare: Option<Spare>) -> Vec<Record> {
    let all = array.contents().records;
    if spare != Some(Spare::Replaced) {
        return all.collect();
    }
    let lost = all.filter_map(|record| match record {
        Record::Relocated { unit, spare, .. } => Some(Record::Relocated {
            unit,
            spare,
            valid: Blocks::NONE,
        }),
        _ => None,
    });
    lost.collect()
}

/// Refuses to take a spare that holds something for one that was replaced.
fn check_blank(disks: &mut Disks) -> Result<()> {
    let regions = disks.regions();
    match all_blank(disks, &mut blank_block(), &regions) {
        // An attempt to mend it was interrupted.
        Refused::Blank | Refused::Unfinished => Ok(()),
        found => bail!("the spare that replaces another must be blank: {found}"),
    }
}

/// Notes copies that cannot be read, and so may be newer than what can be.
fn note_unread(disks: &Disks, array: &Found, way: &mut InTheWay) {
    let choice = &array.contained.choice;
    for (survey, region) in choice.surveys.iter().zip(Region::all()) {
        let is_unread = survey.is_some_and(|survey| survey.unreadable > 0);
        if is_unread && !choice.is_current(region) {
            let name = disks.name(region);
            let text = format!("the region at {name} cannot be read, so it may be newer");
            way.note(UNREADABLE, text);
        }
    }
}

/// Places without a copy that need not be the array's: on a spare of which nothing tells that it is
/// the right one, and at the end of a main device that may have become longer.
fn overwritten(disks: &Disks, array: &Found, spare: Option<Spare>) -> Vec<Place> {
    let surveys = &array.contained.choice.surveys;
    let is_lost = |place: &Place| {
        let survey = surveys.get(place.region.0).copied().flatten();
        let is_asked = place.region.role() == Role::MAIN || spare == Some(Spare::Same);
        is_asked && survey.is_some_and(|survey| survey.chain.is_none())
    };
    let places = disks.places(disks.mapped).into_iter();
    places.filter(is_lost).collect()
}

/// Reads the array, and what its spare is said to be if that had to be believed.
fn read(disks: &mut Disks, said: Option<Spare>) -> Result<(Found, Option<Spare>)> {
    let found = match (Found::read(disks), said) {
        (Ok(found), _) => Ok((found, None)),
        (Err(_), Some(_)) => Found::read_from_main(disks).map(|found| (found, said)),
        (Err(error), None) => Err(error),
    };
    found.map_err(|error| anyhow!("cannot be repaired: {error}"))
}

/// Writes all copies; how many.
fn mend(disks: &mut Disks, array: &Found, spare: Option<Spare>) -> Result<usize> {
    let records = records(array, spare);
    let choice = &array.contained.choice;
    // What only is written again is of the session that it was of.
    let session = match spare {
        Some(Spare::Replaced) => random_session()?,
        _ => choice.chain.session,
    };
    let mut journal = Journal::resume(choice, session);
    if spare.is_some() {
        // From the first write on the spare is no blank one, whatever a target sees of main.
        for place in disks.places(None) {
            for slot in Slot::BOTH {
                mark(disks, place, slot, array.array(), 0)?;
            }
        }
    }
    if spare == Some(Spare::Replaced) {
        let next = journal.advance(0);
        next.map_err(|Dead| anyhow!("there are no more commits"))?;
        // Until the spare has a copy, an array of which main says two things cannot be activated.
        write_both(&mut journal, &mut OnlyMain(disks), array, &records)?;
    }
    write_all(disks, &mut journal, array, &records)
}

/// Writes all regions; how many.
fn write_all(
    disks: &mut Disks,
    journal: &mut Journal,
    array: &Found,
    records: &[Record],
) -> Result<usize> {
    let written = write_both(journal, disks, array, records)?;
    clear_logs(disks, journal.array())?;
    let total = journal.total();
    if written < total {
        bail!("only {written} of {total} copies could be written");
    }
    Ok(written)
}

/// The newest commit that any region knows of.
fn newest(array: &Found) -> u64 {
    let surveys = array.contained.choice.surveys.iter().flatten();
    surveys.map(|survey| survey.newest).max().unwrap_or(0)
}

/// The journal of the next commit, which is newer than all that any region knows of.
fn newer(array: &Found) -> Result<Journal> {
    let mut journal = Journal::resume(&array.contained.choice, random_session()?);
    let next = journal.advance(newest(array));
    next.map_err(|Dead| anyhow!("there are no more commits"))?;
    Ok(journal)
}

/// Writes what one region says to all, as a newer state than any of theirs; how many copies. Main
/// is what the other history left.
fn impose(disks: &mut Disks, mut array: Found) -> Result<usize> {
    let standing = &mut array.contained.standing;
    standing.end = standing.end.map(|_| End::default());
    let array = &array;
    let records: Vec<_> = array.contents().records.collect();
    write_all(disks, &mut newer(array)?, array, &records)
}

/// Has the array forget what main was, in all copies that can be written.
fn forget_main(disks: &mut Disks, array: &mut Found) -> Result<()> {
    array.contained.standing.end = Some(End::default());
    let records: Vec<_> = array.contents().records.collect();
    write_both(&mut newer(array)?, disks, array, &records)?;
    let again = Found::read(disks)?;
    let end = again.contained.standing.end;
    if again.generation() <= array.generation() || end.is_some_and(|end| end.main_sum.is_some()) {
        bail!("the metadata on the spare cannot be written");
    }
    Ok(())
}

/// Accepts main as it is.
fn accept_main(say: &Say, disks: &mut Disks, mut array: Found, args: &cli::Repair) -> Result<()> {
    let mut way = InTheWay::default();
    note_unread(disks, &array, &mut way);
    way.allow(&args.writing.force)?;
    let is_changed = changed::is_main_changed(disks, &array);
    let is_done = is_changed == Some(true) && !args.writing.dry_run;
    if is_done {
        forget_main(disks, &mut array)?;
    }
    let text = match is_changed {
        None => "main cannot be compared with what it was: nothing is refused",
        Some(false) => "main was not changed without the array",
        Some(true) if args.writing.dry_run => "would accept main as it is",
        Some(true) => "main is accepted as it is",
    };
    say.both(
        &json!({ "repaired": is_done, "changed": is_changed }),
        format_args!("{text}"),
    );
    Ok(())
}

/// `remapctl repair`
pub fn repair(say: &Say, args: &cli::Repair) -> Result<ExitCode> {
    let mut disks = Disks::open(&args.devices, Access::unless(args.writing.dry_run))?;
    let (array, spare) = match args.believe {
        Some(copy) => {
            let array = Found::read_region(&mut disks, copy.region());
            let array = array.map_err(|error| anyhow!("that copy cannot be read: {error}"))?;
            (array, None)
        }
        None => read(&mut disks, args.spare_is)?,
    };
    let choice = &array.contained.choice;
    if !choice.identity.features.may_write() {
        bail!("the metadata have features that allow reading only");
    }
    if spare == Some(Spare::Replaced) {
        check_blank(&mut disks)?;
    }
    if args.accept_main {
        accept_main(say, &mut disks, array, args)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut way = InTheWay::default();
    if args.believe.is_none() {
        note_unread(&disks, &array, &mut way);
    }
    let places = overwritten(&disks, &array, spare);
    way.note_all(&disks, array.array(), &places);
    way.allow(&args.writing.force)?;
    let mut found = complaints(&disks, &choice.surveys, Some(array.generation()));
    if args.believe.is_some() {
        found.extend(histories(&disks, &choice.surveys));
    }
    let mut written = 0;
    if !found.is_empty() && !args.writing.dry_run {
        written = match args.believe {
            Some(_) => impose(&mut disks, array)?,
            None => mend(&mut disks, &array, spare)?,
        };
    }
    let text = match (found.is_empty(), args.writing.dry_run) {
        (true, _) => "nothing to repair".to_string(),
        (_, true) => std::format!("would mend:\n{}", found.join("\n")),
        _ => std::format!("mended, {written} copies written:\n{}", found.join("\n")),
    };
    let repaired = written > 0;
    say.both(
        &json!({ "repaired": repaired, "damage": found }),
        format_args!("{text}"),
    );
    Ok(ExitCode::SUCCESS)
}
