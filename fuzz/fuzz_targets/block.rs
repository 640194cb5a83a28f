// SPDX-License-Identifier: GPL-2.0

//! Arbitrary bytes, as each kind of block.

#![no_main]

use libfuzzer_sys::fuzz_target;
use remap_core::metadata::array::Head;
use remap_core::metadata::block::{
    renew,
    Block,
    Header,
    BLOCK_BYTES,
    MAGIC, //
};
use remap_core::metadata::record::{
    self,
    In, //
};
use remap_core::metadata::standing::Standing;

fuzz_target!(|bytes: &[u8]| {
    let mut block: Block = [0; BLOCK_BYTES];
    let len = bytes.len().min(BLOCK_BYTES);
    block[..len].copy_from_slice(&bytes[..len]);
    // First unchanged, then with a correct checksum.
    let _ = Header::read(&block, crc32c::crc32c);
    block[..MAGIC.len()].copy_from_slice(&MAGIC);
    renew(&mut block, crc32c::crc32c);
    let Ok(header) = Header::read(&block, crc32c::crc32c) else {
        return;
    };
    if let Some(head) = Head::read(&block, &header) {
        let mut again = [0; BLOCK_BYTES];
        head.write(&mut again);
        header.seal(&mut again, crc32c::crc32c);
        assert_eq!(Head::read(&again, &header), Some(head));
    }
    let standing = Standing::read(&block);
    for kind in [In::Checkpoint, In::Log] {
        let count = header.count.min(1000);
        for (at, record) in record::read(&block, kind, count).enumerate() {
            let Some(record) = record else { continue };
            let mut again = [0; BLOCK_BYTES];
            assert!(record::write(&mut again, kind, at, record));
            assert_eq!(
                record::read(&again, kind, at as u32 + 1).last(),
                Some(Some(record))
            );
        }
    }
    let mut again = [0; BLOCK_BYTES];
    standing.write(&mut again);
    assert_eq!(Standing::read(&again), standing);
});
