// SPDX-License-Identifier: GPL-2.0

//! What the blocks of a device may hold while many read and write them and its disks fail.

#![forbid(unsafe_code)]

pub mod content;
mod disk;
pub mod history;
pub mod model;
mod worker;

pub use model::{
    Model,
    Work, //
};
