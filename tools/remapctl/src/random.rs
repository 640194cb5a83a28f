// SPDX-License-Identifier: GPL-2.0

//! What nobody else has.

use anyhow::{
    anyhow,
    Result, //
};
use remap_core::metadata::uuid::Uuid;

fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no random numbers: {error}"))?;
    Ok(bytes)
}

/// A UUID, at random.
pub fn random_uuid() -> Result<Uuid> {
    Ok(Uuid::from_random(random_bytes()?))
}

/// The number of a session, at random.
pub fn random_session() -> Result<u64> {
    Ok(u64::from_le_bytes(random_bytes()?))
}
