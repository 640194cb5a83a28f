// SPDX-License-Identifier: GPL-2.0

//! One block of metadata: what every kind begins with.

use super::le;
use super::uuid::Uuid;

/// The length of a block in bytes.
pub const BLOCK_BYTES: usize = 4096;
/// The length of a block in sectors.
pub const BLOCK_SECTORS: u64 = 8;
/// One block.
pub type Block = [u8; BLOCK_BYTES];
static BLANK: Block = [0; BLOCK_BYTES];
/// Computes the CRC32C of bytes (Castagnoli, as iSCSI and ext4 have it).
pub type Crc32c = fn(&[u8]) -> u32;

/// What every block begins with.
pub const MAGIC: [u8; 8] = *b"dm-remap";
/// The version of the format.
pub const VERSION: u16 = 1;
/// Where a block's own content begins.
pub const CONTENT: usize = 96;

const AT_CRC: usize = 8;
const AT_VERSION: usize = 12;
const AT_KIND: usize = 14;
const AT_ARRAY: usize = 16;
const AT_DEVICE: usize = 32;
const AT_COMPAT: usize = 48;
const AT_RO_COMPAT: usize = 52;
const AT_INCOMPAT: usize = 56;
const AT_ROLE: usize = 60;
const AT_REGION: usize = 62;
const AT_NUMBER: usize = 64;
const AT_GENERATION: usize = 72;
const AT_COUNT: usize = 80;
const AT_SESSION: usize = 88;
/// Where a log block names the session of the commit before it: behind the small state.
const AT_PARENT: usize = CONTENT + 144;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The head of a checkpoint.
    Checkpoint,
    /// A part of a checkpoint's records.
    Records,
    /// One commit.
    Log,
    /// A mark in the place of a head, while a region is written anew. Its count is [`ALONE`] where
    /// nothing that stands beside it is to be believed.
    Unfinished,
}

/// What a mark counts where what it replaces was not to be believed either.
pub const ALONE: u32 = 1;

impl Kind {
    const ALL: [(Self, u16); 4] = [
        (Self::Checkpoint, 1),
        (Self::Records, 2),
        (Self::Log, 3),
        (Self::Unfinished, 4),
    ];

    fn code(self) -> u16 {
        let found = Self::ALL.iter().find(|(kind, _)| *kind == self);
        found.map_or(0, |&(_, code)| code)
    }

    fn of(code: u16) -> Option<Self> {
        let found = Self::ALL.iter().find(|&&(_, known)| known == code);
        found.map(|&(kind, _)| kind)
    }
}

/// What a device is to its array: main, or one of the spares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role(pub u16);

impl Role {
    /// The main device.
    pub const MAIN: Self = Self(0);
    /// The first spare.
    pub const SPARE: Self = Self(1);
}

/// Which block of which region of which device of which array a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The array.
    pub array: Uuid,
    /// The device.
    pub device: Uuid,
    /// What the device is to the array.
    pub role: Role,
    /// Which region of the device.
    pub region: u16,
    /// Which block of the region.
    pub number: u64,
}

/// A feature of `ro_compat`: commits carry sessions, and a writer that does not know them breaks
/// the chain.
const SESSIONS: u32 = 1 << 1;
/// A feature of `incompat`: the data are on another disk, or on their way to it, and what this
/// array says of them is old.
const MOVED: u32 = 1 << 0;

/// Features of the format that a reader may not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// A reader that does not know one of these may read and write.
    pub compat: u32,
    /// A reader that does not know one of these may read.
    pub ro_compat: u32,
    /// A reader that does not know one of these may do neither.
    pub incompat: u32,
}

impl Features {
    /// Those that this code knows.
    pub const KNOWN: Self = Self::WRITTEN.with(Self::MOVED);

    /// Those of all that this code writes.
    pub const WRITTEN: Self = Self {
        compat: 0,
        ro_compat: SESSIONS,
        incompat: 0,
    };

    /// That of an array whose data are on another disk.
    pub const MOVED: Self = Self {
        compat: 0,
        ro_compat: 0,
        incompat: MOVED,
    };

    /// These and those.
    pub const fn with(self, other: Self) -> Self {
        Self {
            compat: self.compat | other.compat,
            ro_compat: self.ro_compat | other.ro_compat,
            incompat: self.incompat | other.incompat,
        }
    }

    /// Whether the data are on another disk, so that nobody may take them from this array.
    pub const fn are_moved(self) -> bool {
        self.incompat & MOVED != 0
    }

    /// Whether this code may read what has these features.
    pub const fn may_read(self) -> bool {
        self.incompat & !Self::KNOWN.incompat == 0
    }

    /// Whether this code may write what has these features.
    pub const fn may_write(self) -> bool {
        self.may_read() && self.ro_compat & !Self::KNOWN.ro_compat == 0
    }
}

/// What every block says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the block holds.
    pub kind: Kind,
    /// Where it belongs.
    pub address: Address,
    /// What a reader must know.
    pub features: Features,
    /// The commit that it belongs to.
    pub generation: u64,
    /// How many records it holds.
    pub count: u32,
    /// The session in which that commit was made: a random number drawn whenever an array is
    /// activated to be written, so that two histories of one array can be told apart.
    pub session: u64,
}

/// Why bytes are not a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// All of it is zero.
    Blank,
    /// It does not begin as a block does.
    NotOurs,
    /// It was damaged, or not written to its end.
    Checksum,
    /// It is whole, but of this version, which this code does not know.
    Version(u16),
    /// It is whole, but of no known kind.
    Kind,
}

impl Header {
    /// Reads the header of a block, and checks the whole block.
    pub fn read(block: &Block, crc32c: Crc32c) -> Result<Self, Flaw> {
        if *block == BLANK {
            return Err(Flaw::Blank);
        }
        if !block.starts_with(&MAGIC) {
            return Err(Flaw::NotOurs);
        }
        if le::u32_at(block, AT_CRC) != checksum(block, crc32c) {
            return Err(Flaw::Checksum);
        }
        let version = le::u16_at(block, AT_VERSION);
        if version != VERSION {
            return Err(Flaw::Version(version));
        }
        Ok(Self {
            kind: Kind::of(le::u16_at(block, AT_KIND)).ok_or(Flaw::Kind)?,
            address: Address {
                array: Uuid(le::bytes(block, AT_ARRAY)),
                device: Uuid(le::bytes(block, AT_DEVICE)),
                role: Role(le::u16_at(block, AT_ROLE)),
                region: le::u16_at(block, AT_REGION),
                number: le::u64_at(block, AT_NUMBER),
            },
            features: Features {
                compat: le::u32_at(block, AT_COMPAT),
                ro_compat: le::u32_at(block, AT_RO_COMPAT),
                incompat: le::u32_at(block, AT_INCOMPAT),
            },
            generation: le::u64_at(block, AT_GENERATION),
            count: le::u32_at(block, AT_COUNT),
            session: le::u64_at(block, AT_SESSION),
        })
    }

    /// Writes the header in front of a block's content and seals the block with its checksum.
    pub fn seal(&self, block: &mut Block, crc32c: Crc32c) {
        let Address {
            array,
            device,
            role,
            region,
            number,
        } = self.address;
        le::put(block, 0, &MAGIC);
        le::put(block, AT_VERSION, &VERSION.to_le_bytes());
        le::put(block, AT_KIND, &self.kind.code().to_le_bytes());
        le::put(block, AT_ARRAY, &array.0);
        le::put(block, AT_DEVICE, &device.0);
        le::put(block, AT_COMPAT, &self.features.compat.to_le_bytes());
        le::put(block, AT_RO_COMPAT, &self.features.ro_compat.to_le_bytes());
        le::put(block, AT_INCOMPAT, &self.features.incompat.to_le_bytes());
        le::put(block, AT_ROLE, &role.0.to_le_bytes());
        le::put(block, AT_REGION, &region.to_le_bytes());
        le::put(block, AT_NUMBER, &number.to_le_bytes());
        le::put(block, AT_GENERATION, &self.generation.to_le_bytes());
        le::put(block, AT_COUNT, &self.count.to_le_bytes());
        le::put(block, AT_SESSION, &self.session.to_le_bytes());
        renew(block, crc32c);
    }
}

/// Names in a log block the session of the commit that it follows.
pub fn set_parent(block: &mut Block, session: u64) {
    le::put(block, AT_PARENT, &session.to_le_bytes());
}

/// The session of the commit that a log block follows.
pub fn parent(block: &Block) -> u64 {
    le::u64_at(block, AT_PARENT)
}

/// Makes the checksum of a block right for what the block holds.
pub fn renew(block: &mut Block, crc32c: Crc32c) {
    let sum = checksum(block, crc32c);
    le::put(block, AT_CRC, &sum.to_le_bytes());
}

/// The checksum of all that follows it.
fn checksum(block: &Block, crc32c: Crc32c) -> u32 {
    crc32c(block.get(AT_VERSION..).unwrap_or(&[]))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The vectors of RFC 3720, section B.4, which the kernel's implementation is held against too.
    #[test]
    fn crc32c_vectors() {
        let ascending: Vec<u8> = (0..32).collect();
        let descending: Vec<u8> = (0..32).rev().collect();
        for (bytes, sum) in [
            (&[0u8; 32][..], 0x8a91_36aa),
            (&[0xff; 32], 0x62a8_ab43),
            (&ascending, 0x46dd_794e),
            (&descending, 0x113f_db5c),
            (b"123456789", 0xe306_9283),
            (b"", 0),
        ] {
            assert_eq!(crc32c::crc32c(bytes), sum);
        }
    }

    fn header() -> impl Strategy<Value = Header> {
        let kind = prop::sample::select(Kind::ALL.map(|(kind, _)| kind).to_vec());
        let ids = (any::<[u8; 16]>(), any::<[u8; 16]>());
        let place = (any::<u16>(), any::<u16>(), any::<u64>());
        let features = (any::<u32>(), any::<u32>(), any::<u32>());
        let numbers = (any::<u64>(), any::<u32>(), any::<u64>());
        (kind, ids, place, features, numbers).prop_map(
            |(kind, ids, place, features, (generation, count, session))| Header {
                kind,
                address: Address {
                    array: Uuid(ids.0),
                    device: Uuid(ids.1),
                    role: Role(place.0),
                    region: place.1,
                    number: place.2,
                },
                features: Features {
                    compat: features.0,
                    ro_compat: features.1,
                    incompat: features.2,
                },
                generation,
                count,
                session,
            },
        )
    }

    #[test]
    fn named_flaws() {
        let mut block = [0u8; BLOCK_BYTES];
        assert_eq!(Header::read(&block, crc32c::crc32c), Err(Flaw::Blank));
        block[4000] = 1;
        assert_eq!(Header::read(&block, crc32c::crc32c), Err(Flaw::NotOurs));
        le::put(&mut block, 0, &MAGIC);
        assert_eq!(Header::read(&block, crc32c::crc32c), Err(Flaw::Checksum));
        let reseal = |block: &mut Block| {
            let sum = checksum(block, crc32c::crc32c);
            le::put(block, AT_CRC, &sum.to_le_bytes());
        };
        le::put(&mut block, AT_VERSION, &2u16.to_le_bytes());
        reseal(&mut block);
        assert_eq!(Header::read(&block, crc32c::crc32c), Err(Flaw::Version(2)));
        le::put(&mut block, AT_VERSION, &1u16.to_le_bytes());
        reseal(&mut block);
        assert_eq!(Header::read(&block, crc32c::crc32c), Err(Flaw::Kind));
    }

    proptest! {
        #[test]
        fn written_and_read(header in header(), fill in any::<u8>()) {
            let mut block = [fill; BLOCK_BYTES];
            header.seal(&mut block, crc32c::crc32c);
            prop_assert_eq!(Header::read(&block, crc32c::crc32c), Ok(header));
        }

        #[test]
        fn each_flipped_bit_is_seen(header in header(), bit in 0usize..BLOCK_BYTES * 8) {
            let mut block = [7u8; BLOCK_BYTES];
            header.seal(&mut block, crc32c::crc32c);
            block[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Header::read(&block, crc32c::crc32c).is_err());
        }

        #[test]
        fn a_torn_block_is_seen(header in header(), other in header(), sectors in 1usize..8) {
            let (mut old, mut new) = ([1u8; BLOCK_BYTES], [2u8; BLOCK_BYTES]);
            other.seal(&mut old, crc32c::crc32c);
            header.seal(&mut new, crc32c::crc32c);
            new[sectors * 512..].copy_from_slice(&old[sectors * 512..]);
            prop_assert!(Header::read(&new, crc32c::crc32c).is_err());
        }
    }
}
