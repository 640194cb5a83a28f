// SPDX-License-Identifier: GPL-2.0

//! The possible contents of the blocks of a device under concurrent use while its disks fail.

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
