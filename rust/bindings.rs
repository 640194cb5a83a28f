// SPDX-License-Identifier: GPL-2.0

//! Generated bindings of what `kernel::bindings` lacks, and of the project's own C helpers.

#![allow(
    clippy::all,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

mod generated {
    use kernel::{
        bindings::*,
        ffi, //
    };
    include!(concat!(
        env!("DM_REMAP_OBJ"),
        "/rust/bindings/bindings_generated.rs"
    ));
}

mod helpers {
    use kernel::{
        bindings::*,
        ffi, //
    };
    include!(concat!(
        env!("DM_REMAP_OBJ"),
        "/rust/bindings/helpers_generated.rs"
    ));
}

pub(crate) use generated::*;
pub(crate) use helpers::*;
