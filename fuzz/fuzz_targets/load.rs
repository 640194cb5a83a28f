// SPDX-License-Identifier: GPL-2.0

//! An array that was damaged in any way: what is read of it is what it held after the newest commit
//! that can still be seen, or nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use remap_core::metadata::block::{
    Header,
    Kind, //
};
use remap_fuzz::{
    history,
    read,
    Memory,
    Model, //
};
use std::sync::LazyLock;

/// An array, what it held after each commit, and which of its blocks hold something.
struct History {
    memory: Memory,
    models: Vec<Model>,
    used: Vec<(usize, usize)>,
}

static HISTORY: LazyLock<History> = LazyLock::new(|| {
    let (memory, models) = history();
    let used = used(&memory);
    History {
        memory,
        models,
        used,
    }
});

/// Blocks that hold something, by region and number.
fn used(memory: &Memory) -> Vec<(usize, usize)> {
    let blocks = memory.0.iter().enumerate();
    let all = blocks.flat_map(|(at, blocks)| (0..blocks.len()).map(move |number| (at, number)));
    all.filter(|&(at, number)| memory.0[at][number] != [0; 4096])
        .collect()
}

/// The newest generation of any head or log block that is whole.
fn newest(memory: &Memory) -> Option<u64> {
    let blocks = memory.0.iter().flatten();
    let headers = blocks.filter_map(|block| Header::read(block, crc32c::crc32c).ok());
    headers
        .filter(|header| header.kind != Kind::Records)
        .map(|header| header.generation)
        .max()
}

/// Damages blocks as four bytes each say. Returns whether what was changed was sealed again.
fn damage(memory: &mut Memory, places: &[(usize, usize)], bytes: &[u8]) -> bool {
    let mut sealed = false;
    for step in bytes.chunks_exact(5).take(64) {
        let [which, how, high, low, value] = *step else {
            unreachable!()
        };
        let (region, number) =
            places[(usize::from(which) | usize::from(how & 1) << 8) % places.len()];
        let at = (usize::from(high) << 8 | usize::from(low)) % 4096;
        let (other_region, other) = places[usize::from(value) % places.len()];
        match how >> 1 & 7 {
            0 => memory.0[region].iter_mut().for_each(|block| block.fill(0)),
            1 => memory.0[region][number].fill(0),
            2 => memory.0[region][number][at / 512 * 512..].fill(value),
            3 => memory.0[region][number] = memory.0[other_region][other],
            4 | 5 => memory.0[region][number][at] ^= value,
            _ => {
                let block = &mut memory.0[region][number];
                block[at] ^= value;
                let sum = crc32c::crc32c(&block[12..]);
                block[8..12].copy_from_slice(&sum.to_le_bytes());
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
