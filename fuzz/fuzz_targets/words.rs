// SPDX-License-Identifier: GPL-2.0

//! Arbitrary words, as a table line and as a message.

#![no_main]

use libfuzzer_sys::fuzz_target;
use remap_core::message::Message;
use remap_core::metadata::uuid::Uuid;
use remap_core::table::TableLine;

fuzz_target!(|text: &str| {
    let _ = TableLine::parse(text.split_whitespace());
    if let Err(error) = Message::parse(text.split_whitespace()) {
        assert!(!error.to_string().is_empty());
    }
    if let Some(uuid) = Uuid::parse(text) {
        assert_eq!(Uuid::parse(&uuid.to_string()), Some(uuid));
    }
});
