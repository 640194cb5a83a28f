// SPDX-License-Identifier: GPL-2.0

//! The data of an array as a table of other targets, for kernels without `remap`.

use crate::array::{
    Disks,
    Found, //
};
use crate::cli;
use crate::device::Access;
use crate::offline;
use crate::probe;
use crate::say::Say;
use anyhow::{
    bail,
    Result, //
};
use remap_active::{
    mapper::Mapper,
    table::Line, //
};
use remap_core::geometry::{
    Geometry,
    Unit, //
};
use remap_core::index::{
    Index,
    State, //
};
use remap_host::Nodes;
use serde_json::json;
use std::ops::Range;
use std::process::ExitCode;

/// Where sectors of an array are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// On main, from that sector on.
    Main(u64),
    /// On the spare, from that sector on.
    Spare(u64),
    /// Nowhere: they are lost, or their device is not there.
    Nowhere,
}

impl Place {
    /// The place of what is so many sectors further on.
    fn behind(self, sectors: u64) -> Self {
        match self {
            Self::Main(at) => Self::Main(at + sectors),
            Self::Spare(at) => Self::Spare(at + sectors),
            Self::Nowhere => Self::Nowhere,
        }
    }
}

/// Pieces of an array, of which neighbours that lie together become one.
#[derive(Default)]
struct Pieces(Vec<(Range<u64>, Place)>);

impl Pieces {
    fn push(&mut self, sectors: Range<u64>, place: Place) {
        if sectors.is_empty() {
            return;
        }
        if let Some((last, at)) = self.0.last_mut() {
            if last.end == sectors.start && at.behind(last.end - last.start) == place {
                last.end = sectors.end;
                return;
            }
        }
        self.0.push((sectors, place));
    }
}

/// Where everything of an array is, in order.
fn pieces(geometry: &Geometry, map: &Index<Nodes>) -> Vec<(Range<u64>, Place)> {
    let mut all = Pieces::default();
    let mut done = 0;
    for (unit, entry) in map.iter_from(Unit(0)) {
        let State::Relocated { spare, valid } = entry.state else {
            continue;
        };
        let own = geometry.sectors_of(unit);
        all.push(done..own.start, Place::Main(geometry.on_main(done)));
        let mut at = own.start;
        for run in valid.runs() {
            let sectors = geometry.sectors_at(unit, run);
            let place = Place::Spare(geometry.on_spare(spare, sectors.start));
            all.push(at..sectors.start, Place::Nowhere);
            at = sectors.end;
            all.push(sectors, place);
        }
        all.push(at..own.end, Place::Nowhere);
        done = own.end;
    }
    all.push(
        done..geometry.sectors(),
        Place::Main(geometry.on_main(done)),
    );
    all.0
}

/// The table of an array: lines of dm-linear, and of dm-error for what is lost. Without a spare,
/// what is on that cannot be read either.
pub fn table(found: &Found, main: &str, spare: Option<&str>) -> Vec<Line> {
    let all = pieces(&found.geometry, &found.contained.map).into_iter();
    let lines = all.map(|(sectors, place)| {
        let (kind, words) = match (place, spare) {
            (Place::Main(at), _) => ("linear", format!("{main} {at}")),
            (Place::Spare(at), Some(spare)) => ("linear", format!("{spare} {at}")),
            _ => ("error", String::new()),
        };
        Line {
            start: sectors.start,
            sectors: sectors.end - sectors.start,
            kind: kind.into(),
            words,
        }
    });
    // What was on a spare that is not there lies together too.
    let mut merged: Vec<Line> = Vec::new();
    for line in lines {
        match merged.last_mut() {
            Some(last) if last.kind == "error" && line.kind == "error" => {
                last.sectors += line.sectors;
            }
            _ => merged.push(line),
        }
    }
    merged
}

/// `remapctl export`
pub fn export(say: &Say, args: &cli::Export) -> Result<ExitCode> {
    let cli::ExportForm::DmLinear = args.format;
    let devices = match &args.devices[..] {
        [name] => {
            let Some(name) = name.to_str() else {
                bail!("'{}' is no name of an array", name.display());
            };
            probe::devices_of(Mapper::new().ok().as_ref(), name, &args.tab.tab)?
        }
        [main, spare] => cli::Devices {
            main: main.clone(),
            spare: spare.clone(),
            main_start: args.main_start,
            spare_start: args.spare_start,
            spare_len: args.spare_len,
        },
        _ => bail!("want the name of an array, or its main device and its spare"),
    };
    let mut disks = Disks::open(&devices, Access::Read)?;
    let is_active = disks.are_held();
    let found = offline::settled(&mut disks)?;
    let path = |device: &crate::device::Device| device.path().display().to_string();
    let lines = table(&found, &path(&disks.main), Some(&path(&disks.spare)));
    if is_active {
        eprintln!(
            "remapctl: the array is active: what is relocated from now on is not in the table"
        );
    }
    let text: Vec<_> = lines
        .iter()
        .map(|line| line.to_string().trim_end().to_string())
        .collect();
    say.both(
        &json!({ "array": found.array().uuid.to_string(), "active": is_active, "table": text }),
        format_args!("{}", text.join("\n")),
    );
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use remap_core::blocks::Blocks;
    use remap_core::geometry::SpareUnit;
    use remap_core::metadata::record::Record;
    use remap_core::metadata::replay::Replay;
    use remap_core::spares::{
        words_for,
        Spares, //
    };
    use remap_host::plain_geometry;
    use std::collections::BTreeMap;

    const MAIN: u64 = 1001;
    const SPARE: u64 = 16_384;

    /// Where each sector is, as the records say it.
    fn expected(geometry: &Geometry, units: &BTreeMap<u64, (u64, u64)>) -> Vec<Place> {
        (0..MAIN)
            .map(|sector| {
                let unit = geometry.unit_of(sector);
                match units.get(&unit.0) {
                    None => Place::Main(sector),
                    Some(&(spare, valid)) => match (valid >> (sector % 8)) & 1 {
                        0 => Place::Nowhere,
                        _ => Place::Spare(geometry.on_spare(SpareUnit(spare), sector)),
                    },
                }
            })
            .collect()
    }

    proptest! {
        #[test]
        fn each_sector_is_where_the_map_says(
            units in prop::collection::btree_map(0u64..126, 0u64..=255, 0..30),
        ) {
            let geometry = plain_geometry(MAIN, SPARE).unwrap();
            // The last unit is short.
            let units: BTreeMap<_, _> = units
                .into_iter()
                .zip(0u64..)
                .map(|((unit, valid), spare)| {
                    let blocks = geometry.blocks_of(Unit(unit)).bits();
                    (unit, (spare / 2 * 7 + spare % 2, valid & blocks))
                })
                .collect();
            let words = vec![0; words_for(geometry.spare_units()) as usize];
            let mut spares = Spares::new(words.clone(), words, geometry.spare_units()).unwrap();
            let (mut replay, mut nodes) = (Replay::default(), Nodes);
            for (&unit, &(spare, valid)) in &units {
                let record = Record::Relocated {
                    unit: Unit(unit),
                    spare: SpareUnit(spare),
                    valid: Blocks::from_bits(valid),
                };
                replay.apply(&geometry, &mut nodes, &mut spares, record).unwrap();
            }
            let map = replay.finish(&mut nodes).unwrap();
            let all = pieces(&geometry, &map);
            let mut sectors = Vec::new();
            for (range, place) in &all {
                prop_assert_eq!(range.start, sectors.len() as u64);
                sectors.extend((0..range.end - range.start).map(|at| place.behind(at)));
            }
            prop_assert_eq!(sectors, expected(&geometry, &units));
            // Neighbours are one piece.
            for pair in all.windows(2) {
                let (range, place) = &pair[0];
                prop_assert_ne!(place.behind(range.end - range.start), pair[1].1);
            }
        }
    }
}
