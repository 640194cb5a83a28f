// SPDX-License-Identifier: GPL-2.0

//! `remapctl spare replace`: another device takes the place of the spare of an array that is not
//! active.
//!
//! At no instant do both devices hold the array. The new one is written completely, and refused
//! until its marks are removed; before that, the array on the old one is given up. See "Replacing a
//! spare" in `Documentation/format.rst`.

mod copy;
mod hand_over;
mod meant;
mod plan;
mod side;

use crate::array::{
    Disks,
    Found, //
};
use crate::cli;
use crate::device::Access;
use crate::ground::{
    number_behind,
    InTheWay,
    LOST,
    UNFINISHED, //
};
use crate::lists;
use crate::lock::Lock;
use crate::renew;
use crate::say::Say;
use anyhow::{
    bail,
    Result, //
};
use copy::{
    Copy,
    Kept, //
};
use hand_over::{
    clear,
    hand_over,
    take_over, //
};
use meant::Meant;
use plan::Plan;
use remap_core::metadata::array::Array;
use serde_json::json;
use side::{
    ground_of,
    New,
    Old, //
};
use std::ops::Range;
use std::process::ExitCode;

/// What `--force` names where nobody knows whether the old spare was used since it was copied.
const STALE: &str = "stale";
/// What it names where a newer commit may be in what cannot be read of the old spare's metadata.
const UNSURE: &str = "unsure";

/// What was done, or would be.
struct Done {
    /// The array, as it is on the new device.
    array: Array,
    /// How many units were copied; `None` if an earlier run did that.
    units: Option<usize>,
    /// The sectors of the array that the old spare could not give back.
    lost: Vec<Range<u64>>,
    /// Whether the new device was its spare before.
    was_spare: bool,
    /// Whether the old device was made blank; `None` if there was nothing to erase.
    is_erased: Option<bool>,
}

/// Whether `--force` has a name.
fn is_forced(args: &cli::SpareReplace, name: &str) -> bool {
    args.writing.force.iter().any(|force| force == name)
}

/// How many sectors may be lost.
fn may_be_lost(args: &cli::SpareReplace) -> u64 {
    number_behind(LOST, &args.writing.force).unwrap_or(0)
}

/// Whether a name says of the array, and not of what is overwritten, what may be.
fn is_of_array(name: &str) -> bool {
    [STALE, UNSURE].contains(&name) || name.starts_with(LOST)
}

/// Refuses an array that cannot be copied.
fn check_array(args: &cli::SpareReplace, (old, found): (&Disks, &Found)) -> Result<()> {
    if found.array().on_main() {
        bail!("the array has copies of its metadata on main, for which this is not made yet");
    }
    let choice = &found.contained.choice;
    if !choice.identity.features.may_write() {
        bail!("the metadata have features that allow reading only");
    }
    match side::unsure(old, choice).filter(|_| !is_forced(args, UNSURE)) {
        None => Ok(()),
        Some(region) => bail!(
            "the metadata at {} are damaged or cannot be read, and may hold newer commits than the \
             others: 'remapctl repair' mends what can be, and '--force {UNSURE}' goes on without \
             them",
            old.name(region)
        ),
    }
}

/// Refuses to overwrite what `--force` does not name.
fn check_way(
    args: &cli::SpareReplace,
    array: &Array,
    new: &Disks,
    mut way: InTheWay,
) -> Result<()> {
    let mut there = InTheWay::default();
    there.note_places(new, &ground_of(new).regions);
    let is_begun = side::was_begun(new, &array.uuid);
    if is_begun {
        there.forget(UNFINISHED);
        there.forget(&array.uuid.to_string());
    }
    way.add(there);
    let mut force = args.writing.force.clone();
    // What was in the way of an earlier run is gone.
    force.retain(|name| !is_of_array(name) && (!is_begun || way.has(name)));
    way.allow(&force)
}

/// Copies the array to the new device, which takes the place of the old one.
fn copy(
    say: &Say,
    args: &cli::SpareReplace,
    (old, found): (&Disks, &Found),
    new: &mut Disks,
    way: InTheWay,
) -> Result<Done> {
    check_array(args, (old, found))?;
    let plan = Plan::new(found, new)?;
    let kept: Vec<Kept> = found.contents().records.filter_map(Kept::of).collect();
    plan.check(new, &kept)?;
    check_way(args, found.array(), new, way)?;
    let mut done = Done {
        array: plan.array,
        units: Some(kept.len()),
        lost: Vec::new(),
        was_spare: false,
        is_erased: None,
    };
    if args.writing.dry_run {
        return Ok(done);
    }
    renew::begin_alone(new, &ground_of(new), &plan.array)?;
    let copy = Copy {
        from: (old, &found.geometry),
        answers: side::head_of(old, found),
        to: (new, &plan.geometry),
    };
    let copied = copy.run(say, kept)?;
    done.lost = lists::merged(copied.lost.clone());
    check_lost(args, old, &done.lost)?;
    plan.write(say, new, &copied)?;
    let is_erased = hand_over(old, &found.contained.choice, new, &plan.array)?;
    done.is_erased = Some(is_erased);
    Ok(done)
}

/// Refuses to lose more sectors than `--force` has.
fn check_lost(args: &cli::SpareReplace, old: &Disks, lost: &[Range<u64>]) -> Result<()> {
    let count: u64 = lost.iter().map(|range| range.end - range.start).sum();
    if count <= may_be_lost(args) {
        return Ok(());
    }
    bail!(
        "{} cannot be read where it keeps these {count} sectors of the array: {}; with '--force \
         {LOST}{count}' they give errors until they are written",
        old.spare.path().display(),
        lists::all_named(lost)
    )
}

/// Refuses to overwrite a copy of a newer state than that of the spare that is to be replaced.
fn check_newest(meant: &Meant, found: &Found, new: &New) -> Result<()> {
    let Some(copy) = new.copy() else {
        return Ok(());
    };
    let (own, other) = (found.generation(), copy.choice.chain.end);
    if copy.choice.identity.array.uuid != found.array().uuid || other <= own.saturating_add(1) {
        return Ok(());
    }
    let (old, new) = (meant.old.spare.display(), meant.new.spare.display());
    bail!(
        "{new} has a copy of the array of commit {other}, and {old} has commit {own}: {old} is not \
         what was copied last; once it is pulled for good, or erased, '--force {STALE}' has {new} \
         take its place"
    )
}

/// Goes on where an earlier run was stopped after the array was copied.
fn go_on(
    args: &cli::SpareReplace,
    meant: &Meant,
    old: &Old,
    (disks, new): (&mut Disks, &New),
) -> Result<Done> {
    let wanted = meant.array.or(old.array());
    let is_wanted = |array: &Array| wanted.is_none_or(|want| want == array.uuid);
    let Some(array) = new.array().filter(is_wanted) else {
        let (old, new) = (meant.old.spare.display(), meant.new.spare.display());
        bail!("{old} does not hold the array, and {new} has no complete copy of it");
    };
    check_known(args, meant, old, (new, &array))?;
    let mut done = Done {
        array,
        units: None,
        lost: Vec::new(),
        was_spare: matches!(new, New::Whole(_)),
        is_erased: None,
    };
    if args.writing.dry_run {
        return Ok(done);
    }
    if let Some(copy) = new.copy() {
        let mut damaged = side::damaged(disks, copy);
        // The state is read from this one.
        damaged.retain(|place| place.region != copy.choice.region);
        take_over(disks, &array, &damaged)?;
    }
    if let Old::GivenUp(held, _) = old {
        done.is_erased = Some(clear(held));
    }
    Ok(done)
}

/// Refuses a copy that is older than what the old spare had at last, or may be.
fn check_known(
    args: &cli::SpareReplace,
    meant: &Meant,
    old: &Old,
    (new, array): (&New, &Array),
) -> Result<()> {
    let (old_path, new_path) = (meant.old.spare.display(), meant.new.spare.display());
    if let Old::GivenUp(_, given_up) = old {
        return match given_up.device == array.spare {
            true => Ok(()),
            false => bail!("{old_path} was given up for another device than {new_path}"),
        };
    }
    if let New::Whole(_) = new {
        return Ok(());
    }
    meant.check_nowhere(&array.uuid)?;
    if is_forced(args, STALE) {
        return Ok(());
    }
    bail!(
        "{old_path} was copied to {new_path}, and does not hold the array: if it was used since, \
         {new_path} has older data; '--force {STALE}' makes {new_path} the spare"
    )
}

/// Copies the array to the new device, or goes on where an earlier run was stopped.
fn run(say: &Say, args: &cli::SpareReplace, meant: &Meant, lock: Option<Lock>) -> Result<Done> {
    let mut way = InTheWay::default();
    meant.check(&mut way)?;
    let access = match args.writing.dry_run {
        true => Access::Hold,
        false => Access::Write,
    };
    // One that can only be read can be copied, and pulled.
    let old_access = match meant.is_old_read_only()? {
        true => Access::Hold,
        false => access,
    };
    let old = Old::look(&meant.old, old_access)?;
    if let (Some(want), Some(have)) = (meant.array, old.array()) {
        if want != have {
            bail!("{} is of another array, {have}", meant.old.spare.display());
        }
    }
    let main_access = match old {
        // It holds main too.
        Old::Whole(..) | Old::GivenUp(..) => Access::Read,
        Old::Nothing => Access::Hold,
    };
    let mut disks = Disks::open_each(&meant.new, main_access, access)?;
    // Nobody activates the array now, and others may go on.
    drop(lock);
    let new = New::look(&mut disks);
    if let Some(array) = meant.array.or(old.array()) {
        meant.check_other_arrays(&array)?;
    }
    let Old::Whole(held, found) = &old else {
        return go_on(args, meant, &old, (&mut disks, &new));
    };
    check_newest(meant, found, &new)?;
    meant.note_foreign(&disks.spare, &mut way)?;
    if let New::Whole(Array { uuid, .. }) = new {
        let path = meant.new.spare.display();
        way.note(&uuid.to_string(), format!("{path} holds array {uuid}"));
    }
    copy(say, args, (held, found), &mut disks, way)
}

/// Says what was done, or would be.
fn say_done(say: &Say, meant: &Meant, dry_run: bool, done: &Done) {
    let (old, new) = (meant.old.spare.display(), meant.new.spare.display());
    let spare = format!("{new} is the spare of array {}", done.array.uuid);
    let mut text = match (done.units, dry_run) {
        _ if done.was_spare => format!("{spare} already"),
        (Some(units), true) => format!("would copy {units} units from {old} to {new}"),
        (Some(units), false) => format!("copied {units} units from {old} to {new}; {spare} now"),
        (None, true) => "nothing is left to copy".into(),
        (None, false) => format!("nothing was left to copy; {spare} now"),
    };
    if !done.lost.is_empty() {
        let lost = lists::named(&done.lost);
        text += &format!("\nlost, until they are written: {lost}");
    }
    if done.is_erased == Some(true) {
        text += &format!("\n{old} is blank");
    }
    let lost = done.lost.iter().map(|range| [range.start, range.end]);
    say.both(
        &json!({
            "array": done.array.uuid.to_string(),
            "replaced": !dry_run && !done.was_spare,
            "units": done.units,
            "erased": done.is_erased,
            "lost": lost.collect::<Vec<_>>(),
        }),
        format_args!("{text}"),
    );
}

/// `remapctl spare replace`
pub fn replace(say: &Say, args: &cli::SpareReplace) -> Result<ExitCode> {
    let (meant, lock) = Meant::by(args)?;
    let done = run(say, args, &meant, lock);
    if !args.writing.dry_run {
        meant.trigger();
    }
    say_done(say, &meant, args.writing.dry_run, &done?);
    Ok(ExitCode::SUCCESS)
}
