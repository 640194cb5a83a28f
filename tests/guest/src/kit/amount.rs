// SPDX-License-Identifier: GPL-2.0

//! The amount of work of a test, which `make torture` and `make crash` raise (tests/run.py).

use anyhow::{
    Context,
    Result, //
};
use std::env;

/// The amount in the environment variable of that name, such as `OPS`.
pub fn amount(name: &str) -> Result<u64> {
    let text = env::var(name).with_context(|| name.to_string())?;
    text.parse().with_context(|| format!("{name}={text}"))
}
