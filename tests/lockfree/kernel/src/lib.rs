// SPDX-License-Identifier: GPL-2.0

//! The parts of the `kernel` crate that lock-free code uses, over loom's memory model.

pub mod alloc;
pub mod bindings;
pub mod error;
pub mod types;

pub mod sync {
    //! Like `kernel::sync`.
    pub mod atomic;
}

pub mod prelude {
    //! Like `kernel::prelude`.
    pub use crate::{
        alloc::{
            KBox,
            GFP_KERNEL, //
        },
        error::{
            Error,
            Result, //
        },
        try_pin_init, //
    };
    pub use pinned_init::{
        pin_data,
        pinned_drop,
        PinInit,
        PinnedDrop, //
    };
}

/// Like the kernel's macro, whose errors are numbers.
#[macro_export]
macro_rules! try_pin_init {
    ($($all:tt)*) => { $crate::pinned_init::try_pin_init!($($all)*? $crate::error::Error) };
}

#[doc(hidden)]
pub use pinned_init;

/// Fails, where the kernel would warn.
#[macro_export]
macro_rules! warn_on {
    ($condition:expr) => {{
        let condition = $condition;
        assert!(!condition);
        condition
    }};
}
