// SPDX-License-Identifier: GPL-2.0

//! How much of something a test does, which `make torture` and `make crash` raise (tests/run.py).

use anyhow::{
    Context,
    Result, //
};
use std::env;

/// The amount that the environment has under that name, such as `OPS`.
pub fn amount(name: &str) -> Result<u64> {
    let text = env::var(name).with_context(|| name.to_string())?;
    text.parse().with_context(|| format!("{name}={text}"))
}
