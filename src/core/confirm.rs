// SPDX-License-Identifier: GPL-2.0

//! How often a failed request is tried again before its sectors are believed to be bad.

/// How long to wait before each further try, in milliseconds.
///
/// A drive that recovers, or a link that is reset, is back within this; a sector that fails after
/// it would keep whoever waits for much longer, since a real drive tries by itself for seconds each
/// time. That is also why there are few tries.
pub const WAITS: [i64; 2] = [0, 20];

/// How long to wait before the try of this number, counted from 0, in milliseconds; `None` behind the
/// last.
pub fn wait_before(number: usize) -> Option<u32> {
    let wait = WAITS.get(number)?;
    u32::try_from(*wait).ok()
}
