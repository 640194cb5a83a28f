// SPDX-License-Identifier: GPL-2.0

//! `remapctl metrics`: figures of arrays in the text format of Prometheus. Names and labels stay as
//! they are; new ones may come.

use crate::cli;
use crate::findings::STATES;
use crate::remaptab::Remaptab;
use crate::status::{
    Shown,
    Target, //
};
use anyhow::{
    Context,
    Result, //
};
use remap_active::{
    answer::Answer,
    mapper::Mapper, //
};
use std::fmt::Write as _;
use std::fs::{
    self,
    File, //
};
use std::io::{
    Read,
    Write, //
};
use std::path::Path;
use std::process::ExitCode;

/// The most bytes of a request that are read.
const MOST_REQUEST: u64 = 8192;

/// What a figure does.
#[derive(Clone, Copy)]
enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only grows, as long as the array is active.
    Counter,
}

/// A figure of a target.
struct Figure {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    value: fn(&Target) -> u64,
}

macro_rules! figures {
    ($($kind:ident $name:literal $help:literal $value:expr;)*) => {
        [$(Figure { name: $name, help: $help, kind: Kind::$kind, value: $value }),*]
    };
}

/// The figures that the status has.
const FIGURES: [Figure; 15] = figures! {
    Gauge "remap_spare_units" "Spare units there are." |it| it.status.used.all;
    Gauge "remap_spare_units_used" "Spare units that hold data." |it| it.status.used.of;
    Gauge "remap_spare_units_retired" "Spare units that failed." |it| it.status.retired;
    Gauge "remap_suspect_units" "Units that cannot be read, and are not relocated."
        |it| it.status.suspects;
    Gauge "remap_lost_blocks" "Blocks whose data are lost." |it| it.status.lost_blocks;
    Counter "remap_read_errors_total" "Reads of a device that failed, since the spare was formatted."
        |it| it.status.read_errors;
    Counter "remap_write_errors_total" "Writes of a device that failed, since the spare was formatted."
        |it| it.status.write_errors;
    Gauge "remap_metadata_copies" "Copies of the metadata there are." |it| it.status.regions.all;
    Gauge "remap_metadata_copies_good" "Copies of the metadata that are up to date."
        |it| it.status.regions.of;
    Gauge "remap_read_only" "Whether nothing can be written." |it| u64::from(it.status.mode == "ro");
    Gauge "remap_breaker_open" "Whether nothing is relocated until the message 'rearm'."
        |it| u64::from(it.status.breaker == "open");
    Gauge "remap_memory_short" "Whether memory for the map is short."
        |it| u64::from(it.status.memory == "short");
    Gauge "remap_scan_running" "Whether a scan is under way."
        |it| u64::from(it.status.scan == "running");
    Gauge "remap_scan_units" "Units that a pass of the scan reads."
        |it| it.status.scan_position.all;
    Gauge "remap_scan_position_units" "Units that this pass of the scan has read."
        |it| it.status.scan_position.of;
};

/// The counters of the message `stats` that have a figure of their own, and what they count.
const COUNTERS: [(&str, &str); 15] = [
    ("reads", "Reads of the array, in parts."),
    ("writes", "Writes to the array, in parts."),
    ("discards", "Discards, in parts."),
    ("flushes", "Flushes, one for each device."),
    ("redirected", "Parts that went straight to the spare."),
    ("repaired", "Parts that a worker had to deal with."),
    ("lost_reads", "Reads of blocks whose data are lost."),
    (
        "transient",
        "Failed requests that went well when they were repeated.",
    ),
    (
        "relocated",
        "Units that were relocated because a write failed.",
    ),
    ("remapped", "Units that were relocated by message."),
    (
        "unremapped",
        "Units that were moved back to the disk by message.",
    ),
    ("no_spare", "Times that no spare unit was left."),
    ("scan_found", "Units that the scan could not read."),
    ("scan_weak", "Units that the scan found weak."),
    ("scan_passes", "Passes of the scan that were done."),
];

/// A value of a label, in quotes.
fn quoted(value: &str) -> String {
    let value = value.replace('\\', "\\\\");
    let value = value.replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{value}\"")
}

/// The text, family by family.
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, help: &str, kind: Kind) {
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        let labels = labels
            .iter()
            .map(|(name, value)| format!("{name}={}", quoted(value)));
        let labels = labels.collect::<Vec<_>>().join(",");
        let _ = writeln!(self.0, "{name}{{{labels}}} {value}");
    }
}

/// The figures of all arrays. `stats` answers the counters of a target, if it can be asked.
fn text(
    table: &Remaptab,
    shown: &[Shown],
    mut stats: impl FnMut(&str, u64) -> Option<Answer>,
) -> String {
    let mut text = Text::default();
    text.family(
        "remap_active",
        "Whether an array of remaptab(5) is active.",
        Kind::Gauge,
    );
    for entry in table.entries().filter(|entry| entry.is_activated()) {
        let is_active = shown.iter().any(|shown| shown.name == entry.name);
        text.sample(
            "remap_active",
            &[("device", &entry.name)],
            u64::from(is_active),
        );
    }
    text.family(
        "remap_without_spare",
        "Whether an array is shown without its spare, for reading only.",
        Kind::Gauge,
    );
    for one in shown {
        let is_alone = u64::from(one.is_without_spare());
        text.sample("remap_without_spare", &[("device", &one.name)], is_alone);
    }
    let targets = || {
        let targets = shown.iter().flat_map(|shown| {
            let name = shown.name.as_str();
            shown.targets.iter().map(move |target| (name, target))
        });
        targets.map(|(name, target)| (name, target.line.start.to_string(), target))
    };
    text.family(
        "remap_state",
        "Whether a state of an array holds; 'remapctl status' says what to do about each.",
        Kind::Gauge,
    );
    for (name, start, target) in targets() {
        for state in STATES {
            let holds = target.findings.iter().any(|finding| finding.state == state);
            let labels = [("device", name), ("start", &start), ("state", state)];
            text.sample("remap_state", &labels, u64::from(holds));
        }
    }
    for Figure {
        name: figure,
        help,
        kind,
        value,
    } in FIGURES
    {
        text.family(figure, help, kind);
        for (name, start, target) in targets() {
            text.sample(
                figure,
                &[("device", name), ("start", &start)],
                value(target),
            );
        }
    }
    let answers: Vec<_> = targets()
        .filter_map(|(name, start, target)| Some((name, start, stats(name, target.line.start)?)))
        .collect();
    for (counter, help) in COUNTERS {
        let family = format!("remap_{counter}_total");
        text.family(&family, help, Kind::Counter);
        for (name, start, answer) in &answers {
            if let Ok(value) = answer.number(counter) {
                text.sample(&family, &[("device", name), ("start", start)], value);
            }
        }
    }
    text.0
}

/// The figures at this moment.
fn now(tab: &Path) -> Result<String> {
    let mapper = Mapper::new()?;
    let (table, shown) = (Remaptab::read(tab)?, Shown::all(&mapper)?);
    let stats = |name: &str, start| mapper.message(name, start, "stats").ok().map(Answer::new);
    Ok(text(&table, &shown, stats))
}

/// Writes a file in place of the one that is there, all of it or nothing.
fn replace(path: &Path, text: &str) -> Result<()> {
    let named = || path.display().to_string();
    let mut begun = path.as_os_str().to_owned();
    // The collector takes what ends with '.prom'.
    begun.push(".new");
    let mut file = File::create(&begun).with_context(named)?;
    file.write_all(text.as_bytes()).with_context(named)?;
    fs::rename(&begun, path).with_context(named)
}

/// The head of a request, up to its empty line.
fn request(from: impl Read) -> Result<String> {
    let mut head = Vec::new();
    for byte in from.take(MOST_REQUEST).bytes() {
        head.push(byte?);
        if head.ends_with(b"\r\n\r\n") || head.ends_with(b"\n\n") {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// The answer to a request.
fn answer(request: &str, figures: impl FnOnce() -> Result<String>) -> String {
    let mut words = request.lines().next().unwrap_or_default().split(' ');
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let (status, body) = match (method, path) {
        ("GET" | "HEAD", "/metrics") => match figures() {
            Ok(text) => ("200 OK", text),
            Err(error) => ("500 Internal Server Error", format!("{error:#}\n")),
        },
        ("GET" | "HEAD", _) => ("404 Not Found", "the figures are at /metrics\n".into()),
        _ => ("405 Method Not Allowed", "GET\n".into()),
    };
    let length = body.len();
    let body = if method == "HEAD" {
        String::new()
    } else {
        body
    };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// `remapctl metrics`
pub fn metrics(args: &cli::Metrics) -> Result<ExitCode> {
    let tab = &args.tab.tab;
    if args.http {
        let request = request(std::io::stdin().lock())?;
        crate::say::print(&answer(&request, || now(tab)));
    } else if let Some(path) = &args.textfile {
        replace(path, &now(tab)?)?;
    } else {
        crate::say::print(&now(tab)?);
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::findings;
    use remap_active::table::Line;

    const LINE: &str = "damaged 1/1000 0 0 3 4 5 rw 2/4 open 31/0/1 ok running 4096/16384";

    fn shown() -> Vec<Shown> {
        let status = LINE.parse().unwrap();
        vec![Shown {
            name: "safe".into(),
            targets: vec![Target {
                findings: findings(&status),
                status,
                line: Line {
                    start: 8,
                    sectors: 8,
                    kind: "remap".into(),
                    words: String::new(),
                },
            }],
            instead: None,
        }]
    }

    fn figures() -> String {
        let table = "safe WWID=a 01234567-89ab-4def-8123-456789abcdef -\n\
                     other WWID=b 11234567-89ab-4def-8123-456789abcdef -\n";
        text(&table.parse().unwrap(), &shown(), |name, start| {
            assert_eq!((name, start), ("safe", 8));
            Some(Answer::new("reads 7\nrelocated 1\nnew 5\n".into()))
        })
    }

    #[test]
    fn figures_have_their_names_and_labels() {
        let text = figures();
        for line in [
            "remap_active{device=\"safe\"} 1",
            "remap_active{device=\"other\"} 0",
            "remap_without_spare{device=\"safe\"} 0",
            "remap_state{device=\"safe\",start=\"8\",state=\"tripped\"} 1",
            "remap_state{device=\"safe\",start=\"8\",state=\"frozen\"} 0",
            "remap_spare_units_used{device=\"safe\",start=\"8\"} 1",
            "remap_lost_blocks{device=\"safe\",start=\"8\"} 3",
            "remap_write_errors_total{device=\"safe\",start=\"8\"} 5",
            "remap_scan_position_units{device=\"safe\",start=\"8\"} 4096",
            "remap_reads_total{device=\"safe\",start=\"8\"} 7",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} in:\n{text}"
            );
        }
    }

    #[test]
    fn each_family_is_described_once_and_before_its_samples() {
        let mut known = Vec::new();
        for line in figures().lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let name = rest.split(' ').next().unwrap().to_string();
                assert!(!known.contains(&name), "{name} twice");
                known.push(name);
            } else if !line.starts_with('#') {
                let name = line.split('{').next().unwrap();
                assert_eq!(known.last().map(String::as_str), Some(name));
            }
        }
    }

    /// The alert rules and the dashboard ask for what is printed, by its name.
    #[test]
    fn those_who_ask_know_the_names() {
        const RULES: &str = include_str!("../../../system/prometheus/remap.rules.yml");
        const DASHBOARD: &str = include_str!("../../../system/grafana/remap.json");
        let text = figures();
        let is_known = |name: &str| text.contains(&format!("# TYPE {name} "));
        let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
        for asked in [RULES, DASHBOARD] {
            let words = asked.split(|c: char| !is_part(c));
            let names: Vec<_> = words.filter(|word| word.starts_with("remap_")).collect();
            assert!(names.len() > 8, "{names:?}");
            for name in names {
                assert!(is_known(name), "{name}");
            }
            let lists = asked.split("state=~").skip(1).map(|rest| {
                let list = rest.trim_start_matches(['\\', '"']);
                list.split(['\\', '"']).next().unwrap_or_default()
            });
            for state in lists.flat_map(|list| list.split('|')) {
                assert!(STATES.contains(&state), "{state}");
            }
        }
    }

    #[test]
    fn labels_are_quoted() {
        assert_eq!(quoted("a\"b\\c\nd"), "\"a\\\"b\\\\c\\nd\"");
    }

    #[test]
    fn requests_are_answered() {
        for (request, status) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK"),
            ("HEAD /metrics HTTP/1.0\r\n\r\n", "200 OK"),
            ("GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
            ("", "405 Method Not Allowed"),
        ] {
            let answer = answer(request, || Ok("x 1\n".into()));
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{answer}"
            );
            assert_eq!(
                answer.ends_with("\r\n\r\nx 1\n"),
                request.starts_with("GET /metrics")
            );
        }
        let failed = answer("GET /metrics HTTP/1.1", || anyhow::bail!("no table"));
        assert!(failed.starts_with("HTTP/1.1 500 ") && failed.ends_with("no table\n"));
    }

    #[test]
    fn a_request_ends_with_an_empty_line_or_is_too_long() {
        let text = "GET /metrics HTTP/1.1\r\n\r\nmore";
        assert_eq!(request(text.as_bytes()).unwrap(), &text[..25]);
        let long = vec![b'a'; 10_000];
        assert_eq!(request(&long[..]).unwrap().len(), 8192);
    }
}
