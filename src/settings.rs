// SPDX-License-Identifier: GPL-2.0

//! What a table line asks for beside its devices, and what messages change of it.

use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex, //
};
use remap_core::{
    breaker::Limit,
    table::{
        Features,
        Policy, //
    }, //
};

/// The features of a table.
#[pin_data]
pub(crate) struct Settings {
    unit: Option<u64>,
    policy: Option<Policy>,
    patience: Option<u64>,
    #[pin]
    breaker: Mutex<Option<Limit>>,
}

impl Settings {
    pub(crate) fn new(features: Features) -> impl PinInit<Self> {
        pin_init!(Self {
            unit: features.unit,
            policy: features.policy,
            patience: features.patience,
            breaker <- new_mutex!(features.breaker, "dm_remap::settings"),
        })
    }

    /// As a table line says it. Sleeps.
    pub(crate) fn features(&self) -> Features {
        Features {
            unit: self.unit,
            breaker: *self.breaker.lock(),
            policy: self.policy,
            patience: self.patience,
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        self.policy.unwrap_or_default()
    }

    /// For how many seconds a write waits for a spare unit, if it does.
    pub(crate) fn patience(&self) -> Option<u64> {
        self.patience
    }

    /// The breaker's limit. Sleeps.
    pub(crate) fn limit(&self) -> Limit {
        self.breaker.lock().unwrap_or(Limit::DEFAULT)
    }

    /// Changes the breaker's limit from the next resume on. Sleeps.
    pub(crate) fn set_limit(&self, limit: Limit) {
        *self.breaker.lock() = Some(limit);
    }
}
