// SPDX-License-Identifier: GPL-2.0

//! The name and the version of the target.

use kernel::prelude::*;

/// The name in a table line.
pub(crate) const NAME: &CStr = c"remap";
/// Major, minor and patch level of the interface.
pub(crate) const VERSION: [u32; 3] = [0, 1, 0];
