// SPDX-License-Identifier: GPL-2.0

//! The lock-free parts of the module, built from the same source over loom's model of memory.

use kernel::bindings;

#[path = "../../../rust/chain.rs"]
pub mod chain;
#[path = "../../../rust/published.rs"]
pub mod published;
