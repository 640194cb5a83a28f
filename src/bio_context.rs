// SPDX-License-Identifier: GPL-2.0

//! What is kept with each bio while it is on its way.

use crate::published_map::Maps;
use kernel_ext::{
    bio::Status,
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
    pub(crate) tried: Tried,
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

/// How a bio fared so far.
#[derive(Clone, Copy, Default)]
pub(crate) enum Tried {
    /// No device failed it.
    #[default]
    Well,
    /// A device failed it.
    Failed,
    /// Main failed it there when it was tried the last time.
    FailedAt(Failing),
}

impl Tried {
    /// Whether a device failed it.
    pub(crate) fn has_failed(self) -> bool {
        !matches!(self, Self::Well)
    }

    /// Where main failed it when it was tried the last time.
    pub(crate) fn failing(self) -> Option<Failing> {
        match self {
            Self::FailedAt(failing) => Some(failing),
            Self::Well | Self::Failed => None,
        }
    }
}

/// A sector that main was confirmed not to read or write.
#[derive(Clone, Copy)]
pub(crate) struct Failing {
    pub(crate) sector: u64,
    pub(crate) status: Status,
}
