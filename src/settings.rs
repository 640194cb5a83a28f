// SPDX-License-Identifier: GPL-2.0

//! What a table line asks for beside its devices, and what messages change of it.

use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex, //
};
use remap_core::{
    breaker::{
        Budget,
        Limit, //
    },
    table::{
        Features,
        Policy, //
    }, //
};

/// How fast a scan may read if nothing else is said, in KiB a second.
pub(crate) const DEFAULT_RATE: u64 = 4096;

/// The features of a table.
#[pin_data]
pub(crate) struct Settings {
    unit: Option<u64>,
    breaker_day: Option<u64>,
    policy: Option<Policy>,
    patience: Option<u64>,
    scan_interval: Option<u64>,
    proactive: Option<bool>,
    #[pin]
    scan_rate: Mutex<Option<u64>>,
    #[pin]
    breaker: Mutex<Option<Limit>>,
}

impl Settings {
    pub(crate) fn new(features: Features) -> impl PinInit<Self> {
        pin_init!(Self {
            unit: features.unit,
            breaker_day: features.breaker_day,
            policy: features.policy,
            patience: features.patience,
            scan_interval: features.scan_interval,
            proactive: features.proactive,
            scan_rate <- new_mutex!(features.scan_rate, "dm_remap::settings_rate"),
            breaker <- new_mutex!(features.breaker, "dm_remap::settings"),
        })
    }

    /// As a table line says it. Sleeps.
    pub(crate) fn features(&self) -> Features {
        Features {
            unit: self.unit,
            breaker: *self.breaker.lock(),
            breaker_day: self.breaker_day,
            policy: self.policy,
            patience: self.patience,
            scan_interval: self.scan_interval,
            scan_rate: *self.scan_rate.lock(),
            proactive: self.proactive,
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        self.policy.unwrap_or_default()
    }

    /// For how many seconds a write waits for a spare unit, if it does.
    pub(crate) fn patience(&self) -> Option<u64> {
        self.patience
    }

    /// After how many seconds a scan begins anew; 0 if there is none but by message.
    pub(crate) fn scan_interval(&self) -> u64 {
        self.scan_interval.unwrap_or(0)
    }

    /// How many KiB a second a scan may read. Sleeps.
    pub(crate) fn scan_rate(&self) -> u64 {
        self.scan_rate.lock().unwrap_or(DEFAULT_RATE)
    }

    /// Changes that from the next resume on. Sleeps.
    pub(crate) fn set_scan_rate(&self, rate: u64) {
        *self.scan_rate.lock() = Some(rate);
    }

    /// Whether a scan moves weak units.
    pub(crate) fn is_proactive(&self) -> bool {
        self.proactive.unwrap_or(true)
    }

    /// How many units the breaker lets fail in a day.
    pub(crate) fn budget(&self) -> Budget {
        self.breaker_day.map_or(Budget::Usual, Budget::Units)
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
