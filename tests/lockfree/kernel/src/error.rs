// SPDX-License-Identifier: GPL-2.0

//! Like `kernel::error`.

use crate::alloc::AllocError;

/// An error number.
#[derive(Debug)]
pub struct Error;

impl From<AllocError> for Error {
    fn from(_: AllocError) -> Self {
        Self
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// A result with an error number.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Returns an error unless `number` is 0.
pub fn to_result(number: i32) -> Result {
    if number == 0 {
        Ok(())
    } else {
        Err(Error)
    }
}
