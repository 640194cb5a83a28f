// SPDX-License-Identifier: GPL-2.0

//! An array that was damaged in any way: what is read of it is what it held after the newest commit
//! that can still be seen, or nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use remap_core::metadata::block::{
    renew,
    Header,
    Kind, //
};
use remap_fuzz::{
    history,
    read,
    Model, //
};
use remap_host::memory::Memory;
use std::sync::LazyLock;

/// An array, what it held after each commit, and which of its blocks hold something.
struct History {
    memory: Memory,
    models: Vec<Model>,
    used: Vec<(usize, u64)>,
}

static HISTORY: LazyLock<History> = LazyLock::new(|| {
    let (memory, models) = history();
    let used = memory.blocks.keys().copied().collect();
    History {
        memory,
        models,
        used,
    }
});

/// The newest generation of any head or log block that is whole.
fn newest(memory: &Memory) -> Option<u64> {
    let blocks = memory.blocks.values();
    let headers = blocks.filter_map(|block| Header::read(block, crc32c::crc32c).ok());
    headers
        .filter(|header| header.kind != Kind::Records)
        .map(|header| header.generation)
        .max()
}

/// Damages blocks as four bytes each say. Returns whether what was changed was sealed again.
fn damage(memory: &mut Memory, places: &[(usize, u64)], bytes: &[u8]) -> bool {
    let mut sealed = false;
    for step in bytes.chunks_exact(5).take(64) {
        let [which, how, high, low, value] = *step else {
            unreachable!()
        };
        let place = places[(usize::from(which) | usize::from(how & 1) << 8) % places.len()];
        let at = (usize::from(high) << 8 | usize::from(low)) % 4096;
        let other = memory.blocks[&places[usize::from(value) % places.len()]];
        let block = memory.blocks.get_mut(&place).unwrap();
        match how >> 1 & 7 {
            0 => {
                let region = memory.blocks.range_mut((place.0, 0)..(place.0 + 1, 0));
                region.for_each(|(_, block)| block.fill(0));
            }
            1 => block.fill(0),
            2 => block[at / 512 * 512..].fill(value),
            3 => *block = other,
            4 | 5 => block[at] ^= value,
            _ => {
                block[at] ^= value;
                renew(block, crc32c::crc32c);
                sealed = true;
            }
        }
    }
    sealed
}

fuzz_target!(|bytes: &[u8]| {
    let history = &*HISTORY;
    let mut memory = history.memory.clone();
    let sealed = damage(&mut memory, &history.used, bytes);
    let Ok((end, model)) = read(&mut memory) else {
        return;
    };
    // What was sealed again says what it says: it is enough that nothing panics.
    if !sealed {
        assert_eq!(model, history.models[end as usize], "commit {end}");
        let newest = newest(&memory);
        assert!(newest <= Some(end), "commit {end} of {newest:?}");
    }
});
