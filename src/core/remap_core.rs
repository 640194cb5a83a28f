// SPDX-License-Identifier: GPL-2.0

//! The part of dm-remap that knows no kernel.
//!
//! The same source is compiled into the module by Kbuild and for the host by Cargo, where its unit,
//! property and model tests run. It allocates nothing by itself, takes no lock and imports nothing
//! but `core`: whoever uses it brings the memory and the synchronisation.

#![cfg_attr(not(any(CONFIG_RUST, test)), no_std)]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod blocks;
pub mod breaker;
pub mod classify;
pub mod confirm;
pub mod engine;
pub mod fixed;
pub mod geometry;
pub mod index;
pub mod magazines;
pub mod message;
pub mod metadata;
pub mod number;
pub mod plan;
pub mod region_layout;
pub mod replica;
pub mod scan;
pub mod spares;
pub mod table;
