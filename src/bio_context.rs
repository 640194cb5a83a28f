// SPDX-License-Identifier: GPL-2.0

//! What is kept with each bio while it is on its way.

use crate::published_map::Maps;
use kernel_ext::{
    device_mapper::PerBio,
    published::{
        Held,
        Reading, //
    }, //
};

/// What is kept with each bio.
#[derive(Default)]
pub(crate) struct BioContext {
    /// The section that keeps a relocation from overtaking the bio while it is on a device.
    held: Option<Held>,
    /// A device failed it.
    pub(crate) has_failed: bool,
}

impl BioContext {
    /// For a bio that goes to where `maps` say.
    #[inline]
    pub(crate) fn within(maps: Reading<'_, Maps>) -> Self {
        Self {
            held: Some(maps.hold()),
            ..Self::default()
        }
    }
}

impl PerBio for BioContext {
    #[inline]
    fn returned(&mut self) {
        if let Some(held) = self.held.take() {
            held.release();
        }
    }
}
