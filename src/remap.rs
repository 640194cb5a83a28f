// SPDX-License-Identifier: GPL-2.0

//! `remap`, a device-mapper target that keeps a disk with bad sectors working.
//!
//! See `Documentation/admin-guide/device-mapper/dm-remap.rst` for what it does and how it is used.

#![forbid(unsafe_code)]
#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod bio_context;
mod caches;
mod confirm;
mod context;
mod counters;
mod delayed;
mod engine_memory;
mod errors;
mod executor;
mod filter;
mod instance;
mod layout;
mod load;
mod lookup;
mod main_sum;
mod messages;
mod metadata;
mod moment;
mod moves;
mod node_services;
mod nodes;
mod published_map;
mod refusal;
mod registry;
mod replicas;
mod scan;
mod scan_messages;
mod scanner;
mod scrub_host;
mod settings;
mod status;
mod summary;
mod target;
mod version;

use kernel::prelude::*;
use kernel_ext::device_mapper::{
    Registration,
    TargetType, //
};
use registry::Registry;
use target::RemapTarget;

module! {
    type: RemapModule,
    name: "dm_remap",
    authors: ["The dm-remap developers"],
    description: "device-mapper target that relocates bad sectors",
    license: "GPL",
}

/// What device mapper knows of the target.
static TARGET_TYPE: TargetType<RemapTarget> = TargetType::new();

struct RemapModule {
    _registration: Registration<RemapTarget>,
}

impl kernel::Module for RemapModule {
    fn init(module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _registration: Registration::new(module, &TARGET_TYPE, Registry::new()?)?,
        })
    }
}
