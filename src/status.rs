// SPDX-License-Identifier: GPL-2.0

//! What `dmsetup status`, `dmsetup table` and the measurement architecture show.

use crate::{
    counters::Count,
    instance::Instance,
    repair::Repair,
    scan_messages,
    settings::Settings,
    target::RemapTarget, //
};
use core::fmt::Write;
use kernel::fmt;
use kernel_ext::{
    device_mapper::Target,
    text::Text, //
};

/// How a device is, in one word; the gravest that applies.
fn health(repair: &Repair) -> &'static str {
    let (good, total) = repair.metadata.regions();
    if repair.metadata.frozen {
        "frozen"
    } else if !repair.is_closed() {
        "tripped"
    } else if repair.lost_blocks > 0 || repair.suspects > 0 {
        "damaged"
    } else if repair.spares.is_exhausted() {
        "exhausted"
    } else if good < total {
        "degraded"
    } else if repair.spares.in_use() > 0 {
        "relocated"
    } else {
        "healthy"
    }
}

/// `<health> <used>/<total> <retired> <suspects> <lost blocks> <read errors> <write errors> <mode>
/// <good regions>/<regions> <breaker> <put aside>/<hits>/<misses> <memory> <scan> <position>/<units>`.
pub(crate) fn info(instance: &Instance, out: &mut Text<'_>) -> fmt::Result {
    let repair = instance.repair.lock();
    let (good, total) = repair.metadata.regions();
    let cache = repair.magazines.used();
    write!(
        out,
        "{} {}/{} {} {} {} {} {} {} {}/{} {} {}/{}/{} {}",
        health(&repair),
        repair.spares.in_use(),
        repair.spares.units(),
        repair.spares.retired(),
        repair.suspects,
        repair.lost_blocks,
        instance.counters.sum(Count::ReadErrors),
        instance.counters.sum(Count::WriteErrors),
        if instance.is_read_only() { "ro" } else { "rw" },
        good,
        total,
        match repair.breaker.open() {
            None => "closed",
            Some(_) => "open",
        },
        repair.spares.aside(),
        cache.hits,
        cache.misses,
        if repair.is_short() { "short" } else { "ok" },
    )?;
    drop(repair);
    scan_messages::summary(instance, out)
}

/// `<main> <start> <spare> <start> <len> [<#features> <feature>...]`.
pub(crate) fn table(instance: &Instance, settings: &Settings, out: &mut Text<'_>) -> fmt::Result {
    let layout = instance.layout();
    let (main, spare) = (layout.main.number(), layout.spare.number());
    write!(
        out,
        "{}:{} {} {}:{} {} {}{}",
        main.0,
        main.1,
        layout.main_area.start,
        spare.0,
        spare.1,
        layout.spare_area.start,
        layout.spare_area.len,
        settings.features(),
    )
}

/// The same as `name=value` pairs.
pub(crate) fn ima(instance: &Instance, out: &mut Text<'_>) -> fmt::Result {
    let layout = instance.layout();
    let (main, spare) = (layout.main.number(), layout.spare.number());
    let [major, minor, patch] = RemapTarget::VERSION;
    let name = RemapTarget::NAME.to_str().unwrap_or_default();
    write!(
        out,
        "target_name={name},target_version={major}.{minor}.{patch},\
         main={}:{},main_start={},spare={}:{},spare_start={},spare_len={};",
        main.0,
        main.1,
        layout.main_area.start,
        spare.0,
        spare.1,
        layout.spare_area.start,
        layout.spare_area.len,
    )
}
