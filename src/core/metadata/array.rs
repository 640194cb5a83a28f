// SPDX-License-Identifier: GPL-2.0

//! What an array is, and the head of a checkpoint.

use super::block::{
    Block,
    Header,
    Role,
    CONTENT, //
};
use super::le;
use super::standing::{
    Standing,
    STANDING_BYTES, //
};
use super::uuid::Uuid;
use crate::geometry::Geometry;
use crate::region_layout::{
    Regions,
    PER_RECORD_BLOCK, //
};
use core::fmt;

/// The most devices that a head has room for.
const DEVICES: usize = 8;
const AT_UNIT: usize = CONTENT + STANDING_BYTES;
const AT_BLOCK: usize = AT_UNIT + 4;
const AT_MAIN_SECTORS: usize = AT_UNIT + 8;
const AT_SPARE_SECTORS: usize = AT_UNIT + 16;
const AT_RELOCATED: usize = AT_UNIT + 24;
const AT_RETIRED: usize = AT_UNIT + 32;
const AT_RECORD_BLOCKS: usize = AT_UNIT + 40;
const AT_REGION_BLOCKS: usize = AT_UNIT + 48;
const AT_LOG_BLOCKS: usize = AT_UNIT + 56;
const AT_DEVICES: usize = AT_UNIT + 64;

/// What is fixed when an array is formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array {
    /// The array's name.
    pub uuid: Uuid,
    /// The main device's name; [`Uuid::NIL`] unless it carries regions.
    pub main: Uuid,
    /// The spare device's name.
    pub spare: Uuid,
    /// The length of a unit in sectors.
    pub unit_sectors: u32,
    /// The length of a block, the smallest thing read or written, in sectors.
    pub block_sectors: u32,
    /// The length of the mapped part of main in sectors.
    pub main_sectors: u64,
    /// The length of the spare area in sectors, regions included.
    pub spare_sectors: u64,
}

impl Array {
    /// The name of a device of the array.
    pub fn device(&self, role: Role) -> Uuid {
        match role {
            Role::MAIN => self.main,
            Role::SPARE => self.spare,
            _ => Uuid::NIL,
        }
    }

    /// Whether main carries regions.
    pub fn on_main(&self) -> bool {
        self.main != Uuid::NIL
    }

    /// The regions of the array.
    pub const fn regions(&self) -> Regions {
        Regions::for_spare(self.spare_sectors)
    }

    /// Whether the array was formatted for what `geometry` lays out.
    pub fn fits(&self, geometry: &Geometry) -> Result<(), Misfit> {
        if u64::from(self.unit_sectors) != geometry.unit_sectors() {
            return Err(Misfit::Unit(self.unit_sectors));
        }
        if u64::from(self.block_sectors) != geometry.block_sectors() {
            return Err(Misfit::Block(self.block_sectors));
        }
        if self.main_sectors != geometry.sectors() {
            return Err(Misfit::Main(self.main_sectors));
        }
        if self.spare_sectors != geometry.spare_sectors() {
            return Err(Misfit::Spare(self.spare_sectors));
        }
        Ok(())
    }
}

/// What an array was formatted for, where that is not what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Units of another length, in sectors.
    Unit(u32),
    /// Blocks of another length, in sectors.
    Block(u32),
    /// A target of another length, in sectors.
    Main(u64),
    /// A spare area of another length, in sectors.
    Spare(u64),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the metadata are for ")?;
        match self {
            Self::Unit(sectors) => {
                let bytes = u64::from(*sectors) << 9;
                write!(f, "another unit: add '2 unit {bytes}'")
            }
            Self::Block(sectors) => write!(f, "blocks of {} bytes", u64::from(*sectors) << 9),
            Self::Main(sectors) => write!(f, "a target of {sectors} sectors"),
            Self::Spare(sectors) => write!(f, "a spare area of {sectors} sectors"),
        }
    }
}

/// The head of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The array.
    pub array: Array,
    /// The last commit that is in the checkpoint.
    pub generation: u64,
    /// How many relocated units follow.
    pub relocated: u64,
    /// How many retired spare units follow them.
    pub retired: u64,
    /// The small state.
    pub standing: Standing,
}

impl Head {
    /// How many blocks of records follow; `None` if that is more than a slot could have.
    pub fn record_blocks(&self) -> Option<u64> {
        let records = self.relocated.checked_add(self.retired)?;
        let blocks = records.div_ceil(PER_RECORD_BLOCK as u64);
        (blocks <= self.array.regions().record_blocks()).then_some(blocks)
    }

    /// Writes the content of a head's block.
    pub fn write(&self, block: &mut Block) {
        let array = &self.array;
        let regions = array.regions();
        block.fill(0);
        self.standing.write(block);
        le::put(block, AT_UNIT, &array.unit_sectors.to_le_bytes());
        le::put(block, AT_BLOCK, &array.block_sectors.to_le_bytes());
        le::put(block, AT_MAIN_SECTORS, &array.main_sectors.to_le_bytes());
        le::put(block, AT_SPARE_SECTORS, &array.spare_sectors.to_le_bytes());
        le::put(block, AT_RELOCATED, &self.relocated.to_le_bytes());
        le::put(block, AT_RETIRED, &self.retired.to_le_bytes());
        let blocks = self.record_blocks().unwrap_or(0);
        le::put(block, AT_RECORD_BLOCKS, &blocks.to_le_bytes());
        le::put(
            block,
            AT_REGION_BLOCKS,
            &regions.region_blocks().to_le_bytes(),
        );
        le::put(block, AT_LOG_BLOCKS, &regions.log_blocks().to_le_bytes());
        for (at, role) in (0..DEVICES).zip(0u16..) {
            le::put(block, AT_DEVICES + at * 16, &array.device(Role(role)).0);
        }
    }

    /// Reads the content of a head's block; `None` if it contradicts itself.
    pub fn read(block: &Block, header: &Header) -> Option<Self> {
        let device = |at: usize| Uuid(le::bytes(block, AT_DEVICES + at * 16));
        let this = Self {
            array: Array {
                uuid: header.address.array,
                main: device(0),
                spare: device(1),
                unit_sectors: le::u32_at(block, AT_UNIT),
                block_sectors: le::u32_at(block, AT_BLOCK),
                main_sectors: le::u64_at(block, AT_MAIN_SECTORS),
                spare_sectors: le::u64_at(block, AT_SPARE_SECTORS),
            },
            generation: header.generation,
            relocated: le::u64_at(block, AT_RELOCATED),
            retired: le::u64_at(block, AT_RETIRED),
            standing: Standing::read(block),
        };
        let regions = this.array.regions();
        let sane = this.record_blocks() == Some(le::u64_at(block, AT_RECORD_BLOCKS))
            && le::u64_at(block, AT_REGION_BLOCKS) == regions.region_blocks()
            && le::u64_at(block, AT_LOG_BLOCKS) == regions.log_blocks()
            && this.array.device(header.address.role) == header.address.device
            && (2..DEVICES).all(|at| device(at) == Uuid::NIL);
        sane.then_some(this)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{
        Area,
        Device, //
    };
    use crate::metadata::block::{
        Address,
        Features,
        Kind,
        BLOCK_BYTES, //
    };
    use crate::metadata::standing::End;
    use proptest::prelude::*;

    fn header(array: &Array, generation: u64) -> Header {
        Header {
            kind: Kind::Checkpoint,
            address: Address {
                array: array.uuid,
                device: array.spare,
                role: Role::SPARE,
                region: 0,
                number: 0,
            },
            features: Features::WRITTEN,
            generation,
            count: 0,
            session: 0,
        }
    }

    #[test]
    fn what_an_array_does_not_fit_is_named() {
        let geometry = plain_geometry(8192, 16384);
        let array = Array {
            uuid: Uuid([1; 16]),
            main: Uuid::NIL,
            spare: Uuid([2; 16]),
            unit_sectors: 8,
            block_sectors: 1,
            main_sectors: 8192,
            spare_sectors: 16384,
        };
        assert_eq!(array.fits(&geometry), Ok(()));
        for (change, want) in [
            (
                (|array| array.unit_sectors = 64) as fn(&mut Array),
                "another unit: add '2 unit 32768'",
            ),
            (|array| array.block_sectors = 8, "blocks of 4096 bytes"),
            (
                |array| array.main_sectors = 8184,
                "a target of 8184 sectors",
            ),
            // The regions are as long as for a spare of that length.
            (
                |array| array.spare_sectors = 16383,
                "a spare area of 16383 sectors",
            ),
        ] {
            let mut other = array;
            change(&mut other);
            let misfit = other.fits(&geometry).unwrap_err();
            assert_eq!(misfit.to_string(), format!("the metadata are for {want}"));
        }
    }

    fn plain_geometry(main: u64, spare: u64) -> Geometry {
        let disk = |sectors| Device {
            logical_block: 512,
            physical_block: 512,
            sectors,
        };
        let area = |len| Area { start: 0, len };
        Geometry::new(disk(main), area(main), disk(spare), area(spare), None).unwrap()
    }

    proptest! {
        #[test]
        fn written_and_read(
            ids in any::<[[u8; 16]; 3]>(), unit in any::<u32>(), block in any::<u32>(),
            main_sectors in any::<u64>(), spare_sectors in 4104u64..1 << 50,
            relocated in 0u64..300, retired in 0u64..200, generation in any::<u64>(),
        ) {
            let head = Head {
                array: Array {
                    uuid: Uuid(ids[0]),
                    main: Uuid(ids[1]),
                    spare: Uuid(ids[2]),
                    unit_sectors: unit,
                    block_sectors: block,
                    main_sectors,
                    spare_sectors,
                },
                generation,
                relocated,
                retired,
                standing: Standing { end: Some(End { main_sum: Some(3) }), cursor: 7, counters: [9; 16] },
            };
            let mut bytes = [0xffu8; BLOCK_BYTES];
            head.write(&mut bytes);
            prop_assert_eq!(Head::read(&bytes, &header(&head.array, generation)), Some(head));
            // A count that does not fit the slot, or the block count, is refused.
            le::put(&mut bytes, AT_RELOCATED, &u64::MAX.to_le_bytes());
            prop_assert_eq!(Head::read(&bytes, &header(&head.array, generation)), None);
        }

        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), BLOCK_BYTES)) {
            let block: Block = bytes.try_into().unwrap();
            let array = Array {
                uuid: Uuid::NIL, main: Uuid::NIL, spare: Uuid::NIL,
                unit_sectors: 8, block_sectors: 1, main_sectors: 8, spare_sectors: 8,
            };
            let _ = Head::read(&block, &header(&array, 0));
        }
    }
}
