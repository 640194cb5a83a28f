// SPDX-License-Identifier: GPL-2.0

//! Failing sectors: the result for the caller, the use of spare units, and the counters.

mod bad_spare;
mod emulated_disks;
mod no_spare;
mod passed_on;
mod reads;
mod reports;
mod write_zeroes;
mod writes;

use crate::kit::*;

/// The tests of this subject.
pub fn tests() -> Vec<Test> {
    let parts = [
        bad_spare::tests(),
        emulated_disks::tests(),
        no_spare::tests(),
        passed_on::tests(),
        reads::tests(),
        reports::tests(),
        write_zeroes::tests(),
        writes::tests(),
    ];
    parts.into_iter().flatten().collect()
}

/// The first sector of a spare unit.
const fn spare_unit(number: u64) -> u64 {
    REGION + number * UNIT
}

/// The bytes of a unit.
const UNIT_BYTES: usize = UNIT as usize * SECTOR;

/// Spare units in use and blocks lost.
fn used_and_lost(r: &Remap) -> Result<(u64, u64)> {
    Ok((r.count("spares_used")?, r.count("lost_blocks")?))
}

/// An array with the given number of spare units.
fn with_spare_units(units: u64, features: &str) -> Result<Array> {
    let Disks { main, spare } = Disks::new()?;
    let sectors = 2 * REGION + units * UNIT;
    let table = format!("0 {MAIN} remap /dev/main 0 /dev/spare 0 {sectors} {features}");
    let r = Remap::create(table.trim_end())?;
    Ok(Array { r, main, spare })
}
