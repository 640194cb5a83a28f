// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions of kernel interfaces that the `kernel` crate lacks.
//!
//! All unsafe code and all C of the project live in this crate: whatever safe code does with it
//! must not be able to cause undefined behaviour. It may leak, hang or return errors.
//!
//! There is one limit, which all abstractions of the kernel have: what the kernel is to call is
//! code of the module. Whoever forgets a [`Registration`](device_mapper::Registration), a
//! [`DelayedWork`](workqueue::DelayedWork) that is armed, work that is queued with its queue, or a
//! [`Published`](published::Published) with an old value that is not yet dropped, must not have the
//! module unloaded.

#![cfg_attr(not(CONFIG_RUST), no_std)]
#![deny(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]

// Tiny SRCU, of kernels without SMP and preemption, wants a section to end in the context in which
// it began, and gives back an index, which may be zero, where Tree SRCU gives back an address.
#[cfg(not(CONFIG_TREE_SRCU))]
compile_error!("`published` needs CONFIG_TREE_SRCU");

mod bindings;
pub mod bio;
pub mod blanks;
pub mod block_device;
pub mod chain;
pub mod crc32c;
pub mod device_mapper;
pub mod kthread;
pub mod noio;
pub mod nosleep;
pub mod numa;
pub mod per_cpu;
pub mod published;
pub mod random;
pub mod ratelimit;
pub mod rcu;
pub mod slab;
pub mod submit;
pub mod text;
pub mod transfers;
pub mod unique;
pub mod workqueue;

#[cfg(CONFIG_KUNIT = "y")]
mod kunit;

/// What the kernel's print macros put before each line.
const __LOG_PREFIX: &[u8] = b"dm_remap\0";
