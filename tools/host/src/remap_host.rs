// SPDX-License-Identifier: GPL-2.0

//! Reading arrays on the host, as the target reads them: what `remapctl`, the replay of logs and
//! the fuzz targets share.

#![forbid(unsafe_code)]

pub mod memory;

use remap_core::geometry::{
    Area,
    Device,
    Geometry,
    GeometryError, //
};
use remap_core::index::{
    Index,
    Node,
    NodeAlloc,
    NodeMemory,
    OutOfMemory, //
};
use remap_core::metadata::block::{
    Block,
    BLOCK_BYTES, //
};
use remap_core::metadata::journal::{
    self,
    Contents,
    Size, //
};
use remap_core::metadata::load::load;
use remap_core::metadata::record::Record;
use remap_core::metadata::replay::{
    Conflict,
    Replay, //
};
use remap_core::metadata::standing::Standing;
use remap_core::metadata::storage::Storage;
use remap_core::metadata::survey::{
    choose,
    Choice,
    Refused, //
};
use remap_core::spares::{
    words_for,
    Spares, //
};
use std::sync::Arc;

/// A block of zeroes.
pub fn blank_block() -> Box<Block> {
    Box::new([0; BLOCK_BYTES])
}

/// The contents of a checkpoint of these records.
pub fn contents(records: &[Record]) -> Contents<impl Iterator<Item = Record> + '_> {
    let is_unit = |record: &&Record| matches!(record, Record::Relocated { .. });
    let relocated = records.iter().filter(is_unit).count() as u64;
    Contents {
        size: Size {
            relocated,
            retired: records.len() as u64 - relocated,
        },
        records: records.iter().copied(),
    }
}

/// The units over the whole of two disks with blocks of 512 bytes, of so many sectors.
pub fn plain_geometry(main: u64, spare: u64) -> Result<Geometry, GeometryError> {
    let disk = |sectors| Device {
        logical_block: 512,
        physical_block: 512,
        sectors,
    };
    let area = |len| Area { start: 0, len };
    Geometry::new(disk(main), area(main), disk(spare), area(spare), None)
}

/// Nodes of the map, on the heap.
pub struct Nodes;

impl NodeMemory for Nodes {
    type Ref = Arc<Node<Nodes>>;
}

impl NodeAlloc for Nodes {
    type Memory = Self;

    fn alloc(&mut self, node: Node<Self>) -> Result<Arc<Node<Nodes>>, OutOfMemory> {
        Ok(Arc::new(node))
    }
}

/// Why an array cannot be read.
#[derive(Debug)]
pub enum Unreadable {
    /// Its metadata cannot be used.
    Refused(Refused),
    /// A record cannot be applied.
    Conflict(Record, Conflict),
}

impl From<Refused> for Unreadable {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(refused) => write!(f, "{refused}"),
            Self::Conflict(_, conflict) => {
                write!(f, "the metadata contradict themselves ({conflict:?})")
            }
        }
    }
}

impl std::error::Error for Unreadable {}

/// What an array's metadata say.
pub struct Contained {
    /// Where it was read.
    pub choice: Choice,
    /// The small state.
    pub standing: Standing,
    /// The relocated units.
    pub map: Index<Nodes>,
    /// The spare units.
    pub spares: Spares<Vec<u64>>,
}

impl Contained {
    /// Reads an array that lies as `geometry` says.
    pub fn read<S: Storage>(storage: &mut S, geometry: &Geometry) -> Result<Self, Unreadable> {
        let choice = choose(storage, &mut blank_block(), &geometry.regions())?;
        Self::chosen(storage, choice, geometry)
    }

    /// Reads the region that was chosen.
    pub fn chosen<S: Storage>(
        storage: &mut S,
        choice: Choice,
        geometry: &Geometry,
    ) -> Result<Self, Unreadable> {
        let units = geometry.spare_units();
        let words = vec![0; words_for(units) as usize];
        let spares = Spares::new(words.clone(), words, units);
        let mut spares = spares.expect("the bitmaps were just made for so many units");
        let (mut replay, mut nodes) = (Replay::default(), Nodes);
        let standing = load(storage, &mut blank_block(), &choice, |record| {
            let applied = replay.apply(geometry, &mut nodes, &mut spares, record);
            applied.map_err(|conflict| Unreadable::Conflict(record, conflict))
        })?;
        let map = replay.finish(&mut nodes).expect("there is memory");
        Ok(Self {
            choice,
            standing,
            map,
            spares,
        })
    }

    /// The contents of a checkpoint.
    pub fn contents(&self) -> Contents<impl Iterator<Item = Record> + '_> {
        journal::contents(&self.map, &self.spares)
    }
}
