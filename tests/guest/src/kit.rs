// SPDX-License-Identifier: GPL-2.0

//! The shared parts of the tests: disks that fail on request, mapped devices, I/O that bypasses the
//! page cache, the kernel log, and requests to the host.

#![allow(dead_code, unused_imports)]

pub mod amount;
pub mod array;
pub mod block;
pub mod command;
pub mod content;
pub mod cpu;
pub mod ctl;
pub mod faults;
pub mod fresh;
pub mod gate;
pub mod host;
pub mod kernel_log;
pub mod mapped;
pub mod module;
pub mod needs;
pub mod null_disk;
pub mod scsi_debug;
pub mod wait;

pub use self::{
    amount::*,
    array::*,
    block::*,
    command::*,
    content::*,
    cpu::*,
    ctl::*,
    gate::*,
    kernel_log::*,
    mapped::*,
    needs::*,
    null_disk::*,
    wait::*, //
};
pub use anyhow::{
    bail,
    ensure,
    Context,
    Result, //
};
