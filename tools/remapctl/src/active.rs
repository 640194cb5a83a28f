// SPDX-License-Identifier: GPL-2.0

//! What is done to active arrays: create, remove, status, list, import, watch.

use crate::array::Disks;
use crate::cli;
use crate::device::Access;
use crate::lists;
use crate::offline::read_text;
use crate::say::Say;
use anyhow::{
    bail,
    Context,
    Result, //
};
use devicemapper::{
    DevId,
    DmFlags,
    DmName,
    DmOptions,
    DmUdevFlags,
    DM, //
};
use remap_core::metadata::survey::{
    identify,
    Refused, //
};
use remap_core::table::Features;
use remap_host::blank_block;
use rustix::event::{
    poll,
    PollFd,
    PollFlags, //
};
use serde_json::{
    json,
    Map,
    Value, //
};
use std::ops::Range;
use std::process::ExitCode;
use std::time::Duration;

/// The name of the target type.
const TYPE: &str = "remap";
/// How often a device that is open is tried to be removed, and how long is waited in between.
const TRIES: u32 = 25;
const PAUSE: Duration = Duration::from_millis(200);

/// Device mapper.
pub fn dm() -> Result<DM> {
    DM::new().context("device-mapper cannot be reached")
}

fn name(text: &str) -> Result<&DmName> {
    DmName::new(text).with_context(|| format!("'{text}' is no name for a mapped device"))
}

/// The options that make the library wait for nobody: udev may not run.
fn options() -> DmOptions {
    DmOptions::default().set_udev_flags(DmUdevFlags::DM_UDEV_DISABLE_LIBRARY_FALLBACK)
}

/// `remapctl create`
pub fn create(say: &Say, args: &cli::Create) -> Result<ExitCode> {
    let access = Access::unless(args.dry_run || args.readonly);
    let (len, words) = table(&mut Disks::open(&args.devices, access)?, args)?;
    let line = format!("0 {len} {TYPE} {words}");
    if !args.dry_run {
        activate(args, len, words)?;
    }
    say.both(
        &json!({ "name": args.name, "table": line, "active": !args.dry_run }),
        format_args!("{line}"),
    );
    Ok(ExitCode::SUCCESS)
}

/// The length of the target and the words of its table line.
fn table(disks: &mut Disks, args: &cli::Create) -> Result<(u64, String)> {
    let regions = disks.regions();
    let (len, unit) = match identify(disks, &mut blank_block(), &regions) {
        Ok(identity) => {
            let unit = u64::from(identity.array.unit_sectors) << 9;
            (identity.array.main_sectors, Some(unit))
        }
        Err(Refused::Blank) => (disks.behind(), None),
        Err(refused) => bail!("{refused}"),
    };
    let (main, spare) = (disks.main.path().display(), disks.spare.path().display());
    let area = disks.spare_area;
    let words = format!(
        "{main} {} {spare} {} {}{}",
        disks.main_start,
        area.start,
        area.len,
        Features {
            unit,
            breaker: args.breaker,
            breaker_day: args.breaker_day,
            policy: args.policy,
            patience: args.queue_if_no_spare,
            scan_interval: args.scan_interval,
            scan_rate: args.scan_rate,
            proactive: args.not_proactive.then_some(false),
        }
    );
    Ok((len, words))
}

fn activate(args: &cli::Create, len: u64, words: String) -> Result<()> {
    let (dm, name) = (dm()?, name(&args.name)?);
    let id = DevId::Name(name);
    let mut options = options();
    if args.readonly {
        options = options.set_flags(DmFlags::DM_READONLY);
    }
    dm.device_create(name, None, options)
        .with_context(|| format!("creating {}", args.name))?;
    let lines = [(0, len, TYPE.to_string(), words)];
    let made = dm
        .table_load(&id, &lines, options)
        .and_then(|_| dm.device_suspend(&id, self::options()));
    if let Err(error) = made {
        // Nothing stands behind the name.
        let _ = dm.device_remove(&id, self::options());
        return Err(error).with_context(|| {
            format!(
                "activating {}: the kernel log says why (dmesg | grep remap)",
                args.name
            )
        });
    }
    Ok(())
}

/// `remapctl remove`
pub fn remove(say: &Say, args: &cli::Name) -> Result<ExitCode> {
    let (dm, name) = (dm()?, name(&args.name)?);
    targets(&dm, &args.name)?;
    let id = DevId::Name(name);
    let mut tries = TRIES;
    while let Err(error) = dm.device_remove(&id, options()) {
        // Programs that look at new devices hold them open for a moment.
        tries -= 1;
        if tries == 0 || dm.device_info(&id)?.open_count() == 0 {
            return Err(error).with_context(|| format!("removing {}", args.name));
        }
        std::thread::sleep(PAUSE);
    }
    say.both(
        &json!({ "removed": args.name }),
        format_args!("removed {}", args.name),
    );
    Ok(ExitCode::SUCCESS)
}

/// One `remap` target of a mapped device: its first sector and its status.
pub struct Target {
    /// Its first sector, as the mapped device counts.
    pub start: u64,
    sectors: u64,
    status: String,
}

/// The `remap` targets of a mapped device.
pub fn targets(dm: &DM, device: &str) -> Result<Vec<Target>> {
    let (_, lines) = dm
        .table_status(&DevId::Name(name(device)?), DmOptions::default())
        .with_context(|| device.to_string())?;
    let ours: Vec<_> = lines
        .into_iter()
        .filter(|(_, _, kind, _)| kind == TYPE)
        .map(|(start, sectors, _, status)| Target {
            start,
            sectors,
            status,
        })
        .collect();
    if ours.is_empty() {
        bail!("{device} has no {TYPE} target");
    }
    Ok(ours)
}

/// The fields of a status line, by name.
fn fields(target: &Target) -> Map<String, Value> {
    const NAMES: [&str; 14] = [
        "health",
        "used",
        "retired",
        "suspects",
        "lost_blocks",
        "read_errors",
        "write_errors",
        "mode",
        "regions",
        "breaker",
        "cache",
        "memory",
        "scan",
        "scan_position",
    ];
    let mut map = Map::new();
    map.insert("start".into(), target.start.into());
    map.insert("sectors".into(), target.sectors.into());
    for (name, word) in NAMES.iter().zip(target.status.split(' ')) {
        let value = word.parse::<u64>().map_or(Value::from(word), Value::from);
        map.insert((*name).into(), value);
    }
    map
}

/// Shows the targets of one device.
fn show(say: &Say, dm: &DM, device: &str) -> Result<()> {
    let targets = targets(dm, device)?;
    let all: Vec<_> = targets.iter().map(fields).collect();
    let mut text = Vec::new();
    for map in &all {
        let of = |name| {
            map.get(name)
                .map_or(String::new(), |v| v.to_string().replace('"', ""))
        };
        text.push(format!(
            "{device}: {}, {} spare units used, {} retired, {} suspects, {} lost blocks, \
             {} read and {} write errors, {}, {} copies of the metadata good, breaker {}, memory {}, scan {} at {}",
            of("health"),
            of("used"),
            of("retired"),
            of("suspects"),
            of("lost_blocks"),
            of("read_errors"),
            of("write_errors"),
            of("mode"),
            of("regions"),
            of("breaker"),
            of("memory"),
            of("scan"),
            of("scan_position")
        ));
    }
    let value = json!({ "name": device, "targets": all });
    say.both(&value, format_args!("{}", text.join("\n")));
    Ok(())
}

/// `remapctl status`
pub fn status(say: &Say, args: &cli::MaybeName) -> Result<ExitCode> {
    let dm = dm()?;
    if let Some(device) = &args.name {
        show(say, &dm, device)?;
        return Ok(ExitCode::SUCCESS);
    }
    for (found, ..) in dm.list_devices()? {
        let device = found.to_string();
        if targets(&dm, &device).is_ok() {
            show(say, &dm, &device)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends a message to a target.
pub fn message(dm: &DM, device: &str, sector: u64, text: &str) -> Result<String> {
    let id = DevId::Name(name(device)?);
    match dm.target_msg(&id, Some(sector), text) {
        Ok((_, answer)) => Ok(answer.unwrap_or_default()),
        Err(error) => {
            let reason = dm.target_msg(&id, Some(sector), "reason");
            let reason = reason.ok().and_then(|(_, answer)| answer);
            let error = anyhow::Error::from(error);
            Err(error.context(reason.unwrap_or_default().trim().to_string()))
        }
    }
}

/// All lines of an answer that comes in parts.
fn whole_list(dm: &DM, device: &str, target: &Target, what: &str) -> Result<Vec<String>> {
    let (mut lines, mut from) = (Vec::new(), target.start);
    loop {
        let mut more = None;
        for line in message(dm, device, target.start, &format!("{what} {from}"))?.lines() {
            match line.strip_prefix("more from ") {
                Some(sector) => more = Some(sector.parse()?),
                None => lines.push(line.to_string()),
            }
        }
        match more {
            Some(sector) => from = sector,
            None => return Ok(lines),
        }
    }
}

/// `remapctl list`
pub fn list(say: &Say, args: &cli::Name) -> Result<ExitCode> {
    let dm = dm()?;
    for target in targets(&dm, &args.name)? {
        for line in whole_list(&dm, &args.name, &target, "list")? {
            let words: Vec<_> = line.split([' ', '/']).collect();
            let [sector, spare, valid, blocks] = words[..] else {
                bail!("the target answers '{line}'");
            };
            let number = |word: &str| word.parse::<u64>().unwrap_or_default();
            say.both(
                &json!({
                    "sector": number(sector),
                    "spare_sector": number(spare),
                    "valid_blocks": number(valid),
                    "blocks": number(blocks),
                }),
                format_args!(
                    "sector {sector} is at {spare} of the spare, {valid} of {blocks} blocks valid"
                ),
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The part of a range that lies in a target, as the mapped device counts.
fn within(range: &Range<u64>, target: &Target) -> Option<Range<u64>> {
    let start = range.start.max(target.start);
    let end = range.end.min(target.start + target.sectors);
    (start < end).then_some(start..end)
}

/// `remapctl import`
pub fn import(say: &Say, args: &cli::Import) -> Result<ExitCode> {
    let text = read_text(&args.file)?;
    let bad = match args.form {
        cli::ListForm::Badblocks => lists::from_badblocks(&text, args.block_size)?,
        cli::ListForm::Ddrescue => lists::from_ddrescue(&text)?,
    };
    let dm = dm()?;
    let targets = targets(&dm, &args.name)?;
    let mut jobs = Vec::new();
    for range in &bad {
        let parts = targets.iter().filter_map(|t| Some((t, within(range, t)?)));
        let before = jobs.len();
        jobs.extend(parts);
        let covered: u64 = jobs[before..]
            .iter()
            .map(|(_, part)| part.end - part.start)
            .sum();
        if covered < range.end - range.start {
            bail!(
                "sectors {} to {} are not all on the device",
                range.start,
                range.end - 1
            );
        }
    }
    let sectors: u64 = bad.iter().map(|range| range.end - range.start).sum();
    let mut stay = Vec::new();
    for (at, (target, part)) in jobs.iter().enumerate() {
        if !args.dry_run {
            let text = format!(
                "remap {} {}{}",
                part.start,
                part.end - part.start,
                if args.lossy { " lossy" } else { "" }
            );
            match message(&dm, &args.name, target.start, &text) {
                Ok(_) => {}
                Err(error) if asks_for_lossy(&error) => stay.push((part, error)),
                Err(error) => return Err(error),
            }
        }
        say.progress("relocating", at as u64 + 1, jobs.len() as u64);
    }
    let word = if args.dry_run {
        "would relocate"
    } else {
        "relocated"
    };
    let mut lines = vec![match stay.len() {
        0 => format!("{word} {} ranges of {sectors} sectors", bad.len()),
        some => format!("{word} what can be read; {some} ranges are not all relocated:"),
    }];
    lines.extend(stay.iter().map(|(part, error)| {
        let (start, last) = (part.start, part.end - 1);
        format!("sectors {start} to {last}: {error}")
    }));
    let staying = |(part, error): &(&Range<u64>, anyhow::Error)| {
        let (sector, sectors) = (part.start, part.end - part.start);
        json!({ "sector": sector, "sectors": sectors, "reason": format!("{error:#}") })
    };
    say.both(
        &json!({
            "ranges": bad.len(),
            "sectors": sectors,
            "done": !args.dry_run && stay.is_empty(),
            "stay": stay.iter().map(staying).collect::<Vec<_>>(),
        }),
        format_args!("{}", lines.join("\n")),
    );
    Ok(match stay.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Whether a range was refused for blocks that cannot be read. What could be moved of it was.
fn asks_for_lossy(error: &anyhow::Error) -> bool {
    error.to_string().contains("'lossy'")
}

/// `remapctl watch`
pub fn watch(say: &Say, args: &cli::Watch) -> Result<ExitCode> {
    let dm = dm()?;
    let id = DevId::Name(name(&args.name)?);
    let mut left = args.count;
    let mut seen = None;
    loop {
        // Armed before it is asked, so that no event is missed in between.
        dm.arm_poll().context("waiting for events")?;
        let event = dm.device_info(&id)?.event_nr();
        if seen.replace(event) == Some(event) {
            let mut waits = [PollFd::new(dm.file(), PollFlags::IN)];
            poll(&mut waits, None).context("waiting for events")?;
            continue;
        }
        show(say, &dm, &args.name)?;
        if left == Some(0) {
            return Ok(ExitCode::SUCCESS);
        }
        left = left.map(|left| left - 1);
    }
}
