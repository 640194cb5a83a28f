// SPDX-License-Identifier: GPL-2.0

//! What is done to arrays that are not active: format, check, dump.

use crate::array::{
    Disks,
    Found, //
};
use crate::changed;
use crate::cli;
use crate::device::Access;
use crate::dump::Dump;
use crate::ground::Ground;
use crate::lists;
use crate::random::random_uuid;
use crate::renew::write_new;
use crate::say::Say;
use anyhow::{
    anyhow,
    bail,
    Context,
    Result, //
};
use remap_core::geometry::Geometry;
use remap_core::metadata::array::Array;
use remap_core::metadata::record::Record;
use remap_core::metadata::standing::{
    End,
    Standing, //
};
use remap_core::metadata::storage::Region;
use remap_core::metadata::survey::{
    self,
    identify,
    Chain,
    Refused,
    Survey, //
};
use remap_core::metadata::uuid::Uuid;
use remap_core::region_layout::MAX_REGIONS;
use remap_host::{
    blank_block,
    Unreadable, //
};
use serde_json::json;
use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

/// The exit status of a check that found damage, as fsck's.
const DAMAGED: u8 = 4;
/// The exit status of a check that could not be made.
const NOT_CHECKED: u8 = 8;

/// How often the metadata of an array in use are read until they are twice the same, and what is
/// waited in between.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);
/// What is said if they never are.
const CHANGING: &str = "the array is in use, and changed whenever it was read";

/// A new array over these units, with or without copies of the metadata on main.
pub fn new_array(geometry: &Geometry, on_main: bool) -> Result<Array> {
    Ok(Array {
        uuid: random_uuid()?,
        main: if on_main { random_uuid()? } else { Uuid::NIL },
        spare: random_uuid()?,
        unit_sectors: geometry.unit_sectors() as u32,
        block_sectors: geometry.block_sectors() as u32,
        main_sectors: geometry.sectors(),
        spare_sectors: geometry.spare_sectors(),
    })
}

/// `remapctl format`
pub fn format(say: &Say, args: &cli::Format) -> Result<ExitCode> {
    let mut disks = Disks::open(&args.devices, Access::unless(args.writing.dry_run))?;
    let regions = disks.regions();
    let room = if args.main_metadata {
        2 * regions.region_sectors() + 8
    } else {
        0
    };
    let whole = disks.behind().saturating_sub(room) / 8 * 8;
    let len = args
        .main_len
        .unwrap_or(if room > 0 { whole } else { disks.behind() });
    if args.main_metadata && regions.on_main(len, disks.behind())[0].is_none() {
        bail!("main has no room for metadata behind {len} sectors");
    }
    let geometry = disks.lay_out(disks.main.kind, len, args.unit)?;
    let (ground, way) = Ground::look(&disks, geometry.sectors(), args.main_metadata)?;
    way.allow(&args.writing.force)?;
    let array = new_array(&geometry, args.main_metadata)?;
    let clean = Standing {
        end: Some(End::default()),
        ..Standing::default()
    };
    let copies = if args.writing.dry_run {
        None
    } else {
        Some(write_new(&mut disks, &ground, array, 0, &clean, &[])?)
    };
    say.both(
        &json!({
            "array": array.uuid.to_string(),
            "written": copies.is_some(),
            "main_sectors": geometry.sectors(),
            "unit_bytes": geometry.unit_sectors() << 9,
            "spare_units": geometry.spare_units(),
        }),
        format_args!(
            "{} array {}: {} sectors of main, {} spare units of {} bytes",
            if copies.is_some() {
                "formatted"
            } else {
                "would format"
            },
            array.uuid,
            geometry.sectors(),
            geometry.spare_units(),
            geometry.unit_sectors() << 9
        ),
    );
    Ok(ExitCode::SUCCESS)
}

/// What the regions of an array hold that cannot be read as a whole.
fn surveys(disks: &mut Disks) -> [Option<Survey>; MAX_REGIONS] {
    let (regions, mut block) = (disks.regions(), blank_block());
    match identify(disks, &mut block, &regions) {
        Ok(identity) => survey::surveys(disks, &mut block, &identity.array),
        Err(_) => [None; MAX_REGIONS],
    }
}

/// What is wrong with the regions, line by line; `newest` is the last commit that can be reached.
pub fn complaints(
    disks: &Disks,
    surveys: &[Option<Survey>; MAX_REGIONS],
    newest: Option<u64>,
) -> Vec<String> {
    let mut found = Vec::new();
    for (survey, region) in surveys.iter().zip(Region::all()) {
        let Some(survey) = survey else { continue };
        let name = disks.name(region);
        let mut note = |text: String| found.push(format!("region at {name}: {text}"));
        if survey.unreadable > 0 {
            note(format!("{} blocks cannot be read", survey.unreadable));
        }
        if survey.damaged > 0 {
            note(format!("{} blocks are damaged", survey.damaged));
        }
        match (survey.chain, newest) {
            (None, _) => note("no whole checkpoint".into()),
            (Some(chain), Some(newest)) if chain.end < newest => {
                note(format!("ends at commit {} of {newest}", chain.end))
            }
            _ => {}
        }
    }
    found
}

/// How each region's history ends, line by line.
pub fn histories(disks: &Disks, surveys: &[Option<Survey>; MAX_REGIONS]) -> Vec<String> {
    let ends = surveys
        .iter()
        .zip(Region::all())
        .filter_map(|(survey, region)| {
            let Chain { end, session, .. } = (*survey)?.chain?;
            let name = disks.name(region);
            Some(std::format!(
                "region at {name}: commit {end} of session {session:016x}"
            ))
        });
    ends.collect()
}

/// What the metadata hold, and what is wrong with them.
struct Reading {
    array: Result<Found>,
    surveys: [Option<Survey>; MAX_REGIONS],
    complaints: Vec<String>,
    /// Whether the array is refused because main was changed without it.
    is_main_changed: bool,
    /// Whether an array that is in use changed them meanwhile.
    is_changing: bool,
}

impl Reading {
    fn once(disks: &mut Disks) -> Self {
        let array = Found::read(disks);
        let good = array.as_ref().ok();
        let generation = good.map(Found::generation);
        let surveys = match good {
            Some(good) => good.contained.choice.surveys,
            None => surveys(disks),
        };
        let mut complaints = complaints(disks, &surveys, generation);
        if let Err(error) = &array {
            let refused = error.downcast_ref::<Unreadable>();
            if matches!(refused, Some(Unreadable::Refused(Refused::Forked))) {
                complaints.extend(histories(disks, &surveys));
            }
            complaints.push(error.to_string());
        }
        let is_changed = good.and_then(|good| changed::is_main_changed(disks, good));
        let is_main_changed = is_changed == Some(true) && !disks.are_held();
        if is_main_changed {
            complaints.push(changed::EXPLAINED.to_string());
        }
        Self {
            array,
            surveys,
            complaints,
            is_main_changed,
            is_changing: false,
        }
    }

    /// Reads them until nothing changes meanwhile: an array in use makes commits, one region after
    /// the other.
    fn settled(disks: &mut Disks) -> Self {
        let mut read = Self::once(disks);
        for _ in 0..TRIES {
            if !disks.are_held() {
                break;
            }
            let again = Self::once(disks);
            read.is_changing = read.surveys != again.surveys;
            // What looks like damage may be half of a commit.
            if !read.is_changing && again.complaints.is_empty() {
                break;
            }
            read = Self {
                is_changing: read.is_changing,
                ..again
            };
            std::thread::sleep(PAUSE);
        }
        read
    }
}

/// `remapctl check`
pub fn check(say: &Say, args: &cli::Devices) -> Result<ExitCode> {
    let mut disks = match Disks::open(args, Access::Read) {
        Ok(disks) => disks,
        Err(error) => {
            say.error(&error);
            return Ok(ExitCode::from(NOT_CHECKED));
        }
    };
    let is_active = disks.are_held();
    let read = Reading::settled(&mut disks);
    if read.is_changing {
        say.error(&anyhow!(CHANGING));
        return Ok(ExitCode::from(NOT_CHECKED));
    }
    let (good, found) = (read.array.as_ref().ok(), read.complaints);
    let generation = good.map(Found::generation);
    let is_whole = found.is_empty();
    let array = good.map(|good| good.array().uuid.to_string());
    let answer = json!({
        "array": array,
        "whole": is_whole,
        "usable": good.is_some() && !read.is_main_changed,
        "active": is_active,
        "commit": generation,
        "clean": good.map(|good| good.contained.standing.end.is_some()),
        "damage": found,
    });
    let mut text = found.join("\n");
    if let Some(good) = good {
        let units = good.contents().size.relocated;
        let word = match (is_whole, read.is_main_changed) {
            (true, _) => "whole",
            (false, true) => "refused as it is",
            (false, false) => "usable, 'remapctl repair' mends it",
        };
        let start = if text.is_empty() { "" } else { "\n" };
        text += &std::format!(
            "{start}array {}: {word}, commit {}, {units} units relocated{}",
            array.unwrap_or_default(),
            generation.unwrap_or_default(),
            if is_active { ", in use" } else { "" }
        );
    }
    say.both(&answer, format_args!("{text}"));
    Ok(ExitCode::from(if is_whole { 0 } else { DAMAGED }))
}

/// What the metadata hold, of an array that may be in use.
pub fn settled(disks: &mut Disks) -> Result<Found> {
    let read = Reading::settled(disks);
    if read.is_changing {
        bail!(CHANGING);
    }
    read.array
}

/// `remapctl dump`
pub fn dump(args: &cli::Dump) -> Result<ExitCode> {
    let mut disks = Disks::open(&args.devices, Access::Read)?;
    let found = settled(&mut disks)?;
    let bad = found.contents().records;
    let bad = bad.filter_map(|record| match record {
        Record::Relocated { unit, .. } => Some(found.geometry.sectors_of(unit)),
        _ => None,
    });
    let bad = lists::merged(bad.collect());
    let text = match args.form {
        cli::Form::Json => serde_json::to_string_pretty(&Dump::of(&found))? + "\n",
        cli::Form::Badblocks => lists::to_badblocks(&bad, args.block_size)?,
        cli::Form::Ddrescue => lists::to_ddrescue(&bad, found.geometry.sectors())?,
    };
    crate::say::print(&text);
    Ok(ExitCode::SUCCESS)
}

/// Reads a file, or standard input.
pub fn read_text(path: &std::path::Path) -> Result<String> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}
