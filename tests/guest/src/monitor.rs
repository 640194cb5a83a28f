// SPDX-License-Identifier: GPL-2.0

//! What is told of arrays: each state is produced, and what is said of it compared.

use crate::kit::*;
use serde_json::Value;
use std::{
    fs,
    os::unix::{
        fs::PermissionsExt,
        net::UnixDatagram, //
    },
    path::Path,
};

crate::tests![
    each_state_is_told,
    the_journal_programs_and_mail_are_told,
    each_event_is_backed_up,
    figures_are_those_of_the_status,
];

/// What is told, as `state change`.
fn told(printed: &str) -> Result<Vec<String>> {
    let lines = printed.lines().map(|line| {
        let event: Value = serde_json::from_str(line).context(line.to_string())?;
        let word = |name: &str| event[name].as_str().unwrap_or_default().to_string();
        ensure!(word("array") == "r", "{line}");
        Ok(format!("{} {}", word("state"), word("change")))
    });
    lines.collect()
}

fn each_state_is_told() -> Result<()> {
    let Array { r, main, spare } = Array::with_features("3 breaker 2 86400")?;
    let data = random(MIB);
    r.write(0, &data)?;
    let monitor = start(
        "remapctl",
        &[
            "--json",
            "monitor",
            "--no-mail",
            "--no-backup",
            "--hooks",
            "/tmp/none",
        ],
    )?;
    let mut known = 0;
    let mut next = |want: &[&str]| -> Result<()> {
        known += want.len();
        until(|| Ok(monitor.printed()?.lines().count() >= known))?;
        let all = told(&monitor.printed()?)?;
        assert_eq!(all[all.len() - want.len()..], *want);
        assert_eq!(all.len(), known);
        Ok(())
    };
    main.bad(1000..=1000)?;
    r.write(1000, &random(SECTOR))?;
    next(&["relocated begins"])?;
    main.bad(1200..=1200)?;
    fails(r.read(1200, 1))?;
    next(&["suspect begins"])?;
    main.good(1200..=1200)?;
    r.write(1200, &data[1200 * SECTOR..1208 * SECTOR])?;
    next(&["suspect ends"])?;
    main.bad(1400..=1400)?;
    r.message("remap 1400 8 lossy")?;
    next(&["lost begins", "relocated grows"])?;
    r.write(1400, &random(8 * SECTOR))?;
    next(&["lost ends"])?;
    spare.bad(0..=REGION - 1)?;
    r.relocate(1600, UNIT)?;
    next(&["degraded begins", "relocated grows"])?;
    spare.good(0..=REGION - 1)?;
    r.message("checkpoint")?;
    next(&["degraded ends"])?;
    main.bad(1800..=1800)?;
    r.write(1800, &random(SECTOR))?;
    next(&["relocated grows"])?;
    main.bad(2000..=2000)?;
    fails(r.write(2000, &random(SECTOR)))?;
    next(&["tripped begins"])?;
    r.message("rearm")?;
    next(&["tripped ends"])?;
    // Of 1536 spare units most, and then all.
    let has_told = |state: &str| Ok(told(&monitor.printed()?)?.iter().any(|told| told == state));
    r.relocate(16_384, 1300 * UNIT)?;
    until(|| has_told("nearly-exhausted begins"))?;
    fails(r.relocate(32_768, 1536 * UNIT))?;
    until(|| has_told("exhausted begins"))?;
    until(|| has_told("nearly-exhausted ends"))?;
    monitor.kill()
}

/// The metadata of an event are kept, and restored.
fn each_event_is_backed_up() -> Result<()> {
    const BACKUPS: &str = "--backups /tmp/backups";
    let Array { r, main, .. } = Array::new()?;
    let data = random(64 * MIB);
    r.write(0, &data)?;
    main.bad(1000..=1000)?;
    r.write(1000, &data[1000 * SECTOR..1008 * SECTOR])?;
    let monitor = format!("monitor --once --no-mail --hooks /tmp/none {BACKUPS}");
    ctl(&monitor)?;
    // The same state is kept once.
    ctl(&monitor)?;
    let said = ctl(&format!("backup r {BACKUPS}"))?;
    ensure!(
        said.contains("'r': has the same state in the backup of "),
        "{said}"
    );
    r.relocate(8000, UNIT)?;
    let said = ctl(&format!("backup {BACKUPS}"))?;
    ensure!(said.contains("'r': backed up commit "), "{said}");
    let array = fs::read_dir("/tmp/backups")?.next().context("a folder")??;
    let array = array.file_name().to_string_lossy().into_owned();
    let history = ctl(&format!("--json history {array} {BACKUPS}"))?;
    let history: Vec<Value> = history
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let relocated: Vec<_> = history
        .iter()
        .map(|one| one["relocated"].as_u64())
        .collect();
    assert_eq!(relocated, [Some(1), Some(2)]);
    ctl_refuses("no array 's' is active", &format!("backup s {BACKUPS}"))?;
    r.remove()?;
    let commit = &history[0]["commit"];
    let restore = format!("restore /dev/main /dev/spare --of {array} --at {commit} {BACKUPS}");
    ctl_refuses(
        "these sectors would have other data than now: 8000-8007; ",
        &format!("{restore} --force {array}"),
    )?;
    ctl(&format!("{restore} --force {array} --force changes"))?;
    let r = Remap::create(TABLE)?;
    assert_eq!(r.used()?, "1/1536");
    // Nobody has written to the other unit, so that main has its data too.
    r.holds(&data)
}

/// A program that appends what it gets to a file.
fn program(path: &str, command: &str) -> Result<()> {
    fs::write(path, format!("#!/bin/sh\n{command}\n"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn the_journal_programs_and_mail_are_told() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    main.bad(1000..=1000)?;
    r.write(1000, &random(SECTOR))?;
    r.message("remap 1200 8 lossy")?;
    main.bad(1400..=1400)?;
    r.message("remap 1400 8 lossy")?;
    fs::create_dir_all("/run/systemd/journal")?;
    let socket = "/run/systemd/journal/socket";
    let journal = UnixDatagram::bind(socket)?;
    fs::create_dir("/tmp/hooks")?;
    program(
        "/tmp/hooks/log",
        "echo \"$1 $2 $3 $REMAP_SEVERITY\" >>/tmp/hooked",
    )?;
    program("/tmp/sendmail", "cat >>/tmp/mailed")?;
    let printed =
        ctl("monitor --once --hooks /tmp/hooks --sendmail /tmp/sendmail --mail admin --no-backup")?;
    assert_eq!(printed, "");
    journal.set_nonblocking(true)?;
    let mut entries = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length) = journal.recv(&mut buffer) {
        entries.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    fs::remove_dir_all("/run/systemd")?;
    assert_eq!(entries.len(), 2, "{entries:?}");
    for line in [
        "MESSAGE=array r: 1 blocks are lost, and reading them fails",
        "PRIORITY=2",
        "REMAP_NAME=r",
        "REMAP_STATE=lost",
        "REMAP_CHANGE=begins",
    ] {
        ensure!(
            entries[0].lines().any(|found| found == line),
            "{line} in {}",
            entries[0]
        );
    }
    ensure!(
        entries[1].contains("REMAP_STATE=relocated\n"),
        "{}",
        entries[1]
    );
    let hooked = fs::read_to_string("/tmp/hooked")?;
    assert_eq!(
        hooked,
        "lost r begins critical\nrelocated r begins notice\n"
    );
    // What is only worth knowing is not mailed.
    let mailed = fs::read_to_string("/tmp/mailed")?;
    assert_eq!(mailed.matches("Subject: ").count(), 1, "{mailed}");
    ensure!(
        mailed.starts_with("To: admin\nSubject: critical: array r on "),
        "{mailed}"
    );
    ensure!(mailed.contains("What to do: restore"), "{mailed}");
    Ok(())
}

fn figures_are_those_of_the_status() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    main.bad(1000..=1000)?;
    r.write(1000, &random(SECTOR))?;
    fs::write(
        "tab",
        "gone WWID=x 01234567-89ab-4def-8123-456789abcdef -\n",
    )?;
    ctl("metrics --textfile remap.prom --tab tab")?;
    let text = fs::read_to_string("remap.prom")?;
    for line in [
        "remap_active{device=\"gone\"} 0",
        "remap_spare_units{device=\"r\",start=\"0\"} 1536",
        "remap_spare_units_used{device=\"r\",start=\"0\"} 1",
        "remap_state{device=\"r\",start=\"0\",state=\"relocated\"} 1",
        "remap_state{device=\"r\",start=\"0\",state=\"lost\"} 0",
        "remap_relocated_total{device=\"r\",start=\"0\"} 1",
    ] {
        ensure!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    let request = "printf 'GET /metrics HTTP/1.1\\r\\n\\r\\n' | remapctl metrics --http --tab tab";
    let answer = run("sh", &["-c", request])?;
    ensure!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    ensure!(
        answer.contains("remap_spare_units{device=\"r\",start=\"0\"} 1536\n"),
        "{answer}"
    );
    ensure!(!Path::new("remap.prom.new").exists(), "left over");
    let said = ctl("status --tab tab")?;
    ensure!(said.contains("gone   inactive"), "{said}");
    ensure!(
        said.contains("r: notice: 1 unit of the disk cannot hold data any more"),
        "{said}"
    );
    Ok(())
}
