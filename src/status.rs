// SPDX-License-Identifier: GPL-2.0

//! What `dmsetup status`, `dmsetup table` and the measurement architecture show.

use crate::{
    context::Context,
    counters::Count,
    instance::Instance,
    scan_messages,
    settings::Settings,
    version::{
        NAME,
        VERSION, //
    }, //
};
use core::fmt::Write;
use kernel::fmt;
use kernel_ext::text::Text;

/// `<health> <used>/<total> <retired> <suspects> <lost blocks> <read errors> <write errors> <mode>
/// <good regions>/<regions> <breaker> <put aside>/<hits>/<misses> <memory> <scan>
/// <position>/<units>`.
pub(crate) fn info(instance: &Instance, out: &mut Text<'_>) -> fmt::Result {
    let summary = instance.ctx.summary();
    let (good, total) = summary.regions;
    write!(
        out,
        "{} {}/{} {} {} {} {} {} {} {}/{} {} {}/{}/{} {}",
        summary.health(),
        summary.spares_used,
        summary.spares_total,
        summary.spares_retired,
        summary.suspects,
        summary.lost_blocks,
        instance.ctx.lookup.counters.sum(Count::ReadErrors),
        instance.ctx.lookup.counters.sum(Count::WriteErrors),
        if instance.ctx.is_read_only() {
            "ro"
        } else {
            "rw"
        },
        good,
        total,
        match summary.breaker.open() {
            None => "closed",
            Some(_) => "open",
        },
        summary.spares_aside,
        summary.cache.hits,
        summary.cache.misses,
        if summary.is_short { "short" } else { "ok" },
    )?;
    scan_messages::summary(instance, out)
}

/// `<main> <start> <spare> <start> <len> [<#features> <feature>...]`.
pub(crate) fn table(ctx: &Context, settings: &Settings, out: &mut Text<'_>) -> fmt::Result {
    let layout = ctx.layout();
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
pub(crate) fn ima(ctx: &Context, out: &mut Text<'_>) -> fmt::Result {
    let layout = ctx.layout();
    let (main, spare) = (layout.main.number(), layout.spare.number());
    let [major, minor, patch] = VERSION;
    let name = NAME.to_str().unwrap_or_default();
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
