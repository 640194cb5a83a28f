// SPDX-License-Identifier: GPL-2.0

//! The engine in the kernel's memory.

use crate::nodes::Nodes;
use kernel::{
    cpu::nr_cpu_ids,
    prelude::*, //
};
use remap_core::{
    engine::{
        self,
        change::Change,
        claim::Claim,
        group::{
            Group,
            CHANGES,
            SPARES, //
        },
        memory::Memory,
        Parts, //
    },
    geometry::{
        Geometry,
        SpareUnit,
        Unit, //
    },
    magazines::{
        Magazine,
        Magazines, //
    },
    spares::{
        words_for,
        Spares, //
    }, //
};

/// How many units may be moved at once.
const CLAIMS: usize = 256;
/// How many units may change between two publications before all of the map is copied again for
/// other NUMA nodes.
const CHANGED: usize = CLAIMS + 2 * CHANGES;
/// How many units may change while the map is copied for another NUMA node.
const MISSED: usize = 512;
/// How many spare units are remembered that are free as soon as all regions of the metadata have
/// all commits.
const MOST_WITHHELD: usize = 1024;

/// The kernel's memory.
pub(crate) struct KernelMemory;

impl Memory for KernelMemory {
    type Nodes = Nodes;
    type Words = KVVec<u64>;
    type Magazines = KVec<Magazine>;
    type Units = KVec<Unit>;
    type Claims = KVec<Claim>;
    type SpareUnits = KVec<SpareUnit>;
    type Changes = KVec<Change>;
}

/// The engine of an instance.
pub(crate) type Engine = engine::Engine<KernelMemory>;

fn spare_units(count: usize) -> Result<KVec<SpareUnit>> {
    Ok(KVec::from_elem(SpareUnit(0), count, GFP_KERNEL)?)
}

fn units(count: usize) -> Result<KVec<Unit>> {
    Ok(KVec::from_elem(Unit(0), count, GFP_KERNEL)?)
}

/// Allocates room for the units that change while the map is copied. May sleep.
pub(crate) fn missed() -> Result<KVec<Unit>> {
    units(MISSED)
}

fn group() -> Result<Group<KernelMemory>> {
    let changes = KVec::from_elem(Change::NONE, CHANGES, GFP_KERNEL)?;
    Ok(Group::new(
        changes,
        spare_units(SPARES)?,
        spare_units(SPARES)?,
    ))
}

/// Allocates the bitmaps of an array of this shape, where no spare unit is used. May sleep.
pub(crate) fn spares(geometry: &Geometry) -> Result<Spares<KVVec<u64>>> {
    let words = usize::try_from(words_for(geometry.spare_units())).map_err(|_| ENOMEM)?;
    let bitmap = || KVVec::from_elem(0u64, words, GFP_KERNEL);
    Spares::new(bitmap()?, bitmap()?, geometry.spare_units()).map_err(|_| EINVAL)
}

/// Allocates all that the engine of an array of this shape needs, and itself, which is large for a
/// stack. May sleep.
// Not on the stack of its caller.
#[inline(never)]
pub(crate) fn engine(geometry: &Geometry, nodes: Nodes) -> Result<KBox<Engine>> {
    let cpus = usize::try_from(nr_cpu_ids()).map_err(|_| EINVAL)?;
    let parts = Parts {
        nodes,
        spares: spares(geometry)?,
        magazines: Magazines::new(KVec::from_elem(Magazine::EMPTY, cpus, GFP_KERNEL)?),
        withheld: spare_units(MOST_WITHHELD)?,
        claims: KVec::from_elem(Claim::NONE, CLAIMS, GFP_KERNEL)?,
        changed: units(CHANGED)?,
        groups: [group()?, group()?],
    };
    Ok(KBox::new(Engine::new(*geometry, parts), GFP_KERNEL)?)
}
