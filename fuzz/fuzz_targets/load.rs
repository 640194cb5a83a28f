// SPDX-License-Identifier: GPL-2.0

//! An array with arbitrary damage. Recovery must return the state after the newest commit that is
//! still visible, or refuse the array.

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

/// An array, its state after each commit, and its blocks that are in use.
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

/// The newest generation of any whole head or log block.
fn newest(memory: &Memory) -> Option<u64> {
    let blocks = memory.blocks.values();
    let headers = blocks.filter_map(|block| Header::read(block, crc32c::crc32c).ok());
    headers
        .filter(|header| header.kind != Kind::Records)
        .map(|header| header.generation)
        .max()
}

/// Damages blocks, each as four bytes specify. Returns whether a changed block got a correct
/// checksum.
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
    // A changed block with a correct checksum may mean anything: recovery must only not panic.
    if !sealed {
        assert_eq!(model, history.models[end as usize], "commit {end}");
        let newest = newest(&memory);
        assert!(newest <= Some(end), "commit {end} of {newest:?}");
    }
});
