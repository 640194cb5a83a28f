// SPDX-License-Identifier: GPL-2.0

//! The instant at which one device takes the place of the other.

use super::side::{
    given_up,
    ground_of,
    GivenUp,
    New, //
};
use super::STALE;
use crate::array::Disks;
use crate::ground::Place;
use crate::renew;
use anyhow::{
    bail,
    Context,
    Result, //
};
use remap_core::metadata::array::Array;
use remap_core::metadata::survey::Choice;

/// Gives the array on the old device up, with marks that name the new one, and only then has that
/// hold it. Whether the old device is blank.
pub fn hand_over(old: &Disks, choice: &Choice, new: &mut Disks, array: &Array) -> Result<bool> {
    let wanted = GivenUp {
        array: array.uuid,
        device: array.spare,
    };
    let marked = renew::mark_heads(old, &ground_of(old), array, Some(choice), 0);
    let is_given_up = marked.and_then(|()| match given_up(old) == Some(wanted) {
        true => Ok(()),
        false => bail!("it does not give back what was written"),
    });
    is_given_up.with_context(|| {
        let (path, with) = (old.spare.path().display(), new.spare.path().display());
        format!(
            "{path} may still hold the array: pull it for good, and run this again with '--force \
             {STALE}', which has {with} take its place"
        )
    })?;
    take_over(new, array, &[])?;
    Ok(clear(old))
}

/// Has the new device hold the array, which nothing else holds any more. Regions that are `damaged`
/// are dropped; the target writes them anew.
pub fn take_over(new: &mut Disks, array: &Array, damaged: &[Place]) -> Result<()> {
    for &place in damaged {
        renew::drop_region(new, place)?;
    }
    renew::remove_marks(new, &ground_of(new))?;
    match New::look(new) {
        New::Whole(found) if found == *array => Ok(()),
        _ => bail!(
            "{} does not give back the array: run this again",
            new.spare.path().display()
        ),
    }
}

/// Removes what is left on a device that was given up. It is the spare no more, whether or not that
/// is possible, which is returned.
pub fn clear(old: &Disks) -> bool {
    let cleared = renew::clear(old, &ground_of(old));
    if let Err(error) = &cleared {
        let path = old.spare.path().display();
        eprintln!("remapctl: {path} is given up, but what it held is left: {error:#}");
    }
    cleared.is_ok()
}
