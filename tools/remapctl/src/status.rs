// SPDX-License-Identifier: GPL-2.0

//! `remapctl status`: how arrays are, what is the matter, and what to do about it.

use crate::cli;
use crate::findings::{
    findings,
    Finding,
    Severity, //
};
use crate::mapped::UUID_PREFIX;
use crate::moving::{
    self,
    Piece,
    Progress, //
};
use crate::remaptab::Remaptab;
use crate::say::Say;
use anyhow::Result;
use remap_active::{
    mapper::Mapper,
    status::Status,
    table::Line,
    TYPE, //
};
use serde_json::{
    json,
    Value, //
};
use std::process::ExitCode;

/// A `remap` target of an active array.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it lies.
    pub line: Line,
    /// How it is.
    pub status: Status,
    /// What is the matter with it.
    pub findings: Vec<Finding>,
}

/// What is the matter with a copy that fails, and what to do.
pub const COPY_FAILS: &str = "its data move to another disk, and the state of the copy cannot be \
                              written";
pub const REPAIR_COPY: &str =
    "the kernel log says why (dmesg | grep clone): what was written last \
                               may be lost; stop what uses it, and look at the disk with the state";

/// What a device of an array shows that has no `remap` target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instead {
    /// What can be read without the spare.
    NoSpare,
    /// Data that move to another disk.
    Moving(Progress),
    /// Data that are on another disk.
    Moved,
    /// Data that move to another disk, and the copy fails.
    Broken,
    /// Data that are about to move to another disk, and requests wait.
    Waits,
}

/// A mapped device of arrays.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// Its targets.
    pub targets: Vec<Target>,
    /// What it shows if it has none.
    pub instead: Option<Instead>,
}

impl Instead {
    fn of(mapper: &Mapper, name: &str) -> Result<Self> {
        let copy = Piece::Copy.of(name);
        let is_there = || anyhow::Ok(mapper.names()?.contains(&copy));
        let waits = |name: &str| anyhow::Ok(mapper.info(name)?.is_suspended);
        match moving::progress(mapper, name) {
            Ok(Some(_)) if waits(&copy)? || waits(name)? => return Ok(Self::Waits),
            Ok(Some(progress)) => return Ok(Self::Moving(progress)),
            Ok(None) if is_there()? => return Ok(Self::Waits),
            // It may have come to its end meanwhile.
            Err(_) if is_there()? => return Ok(Self::Broken),
            Ok(None) | Err(_) => {}
        }
        let is_read_only = mapper.info(name)?.is_read_only;
        let table = mapper.table(name)?;
        Ok(match &table[..] {
            [line] if line.kind == "linear" && !is_read_only => Self::Moved,
            _ => Self::NoSpare,
        })
    }

    /// What it is called in the table.
    fn word(self) -> String {
        match self {
            Self::NoSpare => "no-spare".into(),
            Self::Moving(Progress { done, all }) => format!("moving {} %", done * 100 / all.max(1)),
            Self::Moved => "moved".into(),
            Self::Broken => "copy-failed".into(),
            Self::Waits => "waits".into(),
        }
    }

    /// What is the matter and what to do, in sentences.
    fn sentence(self, name: &str) -> String {
        match self {
            Self::NoSpare => format!(
                "{name}: critical: the spare is not there, and what was relocated cannot be read\n    \
                 plug it in; then 'remapctl remove {name}' and 'remapctl activate {name}'"
            ),
            Self::Moving(Progress { done, all }) => format!(
                "{name}: notice: its data move to another disk, which has {done} of {all} pieces\n    \
                 'remapctl retire {name} --to' with that disk waits, and brings it to an end"
            ),
            Self::Broken => format!("{name}: critical: {COPY_FAILS}\n    {REPAIR_COPY}"),
            Self::Waits => format!(
                "{name}: critical: requests wait until its data begin to move to another disk\n    \
                 'remapctl retire {name} --to' with that disk goes on, if it does not run"
            ),
            Self::Moved => format!(
                "{name}: notice: its data are on another disk\n    \
                 'remapctl retire {name} --to' with that disk brings it to an end, if it has not"
            ),
        }
    }
}

impl Shown {
    /// How the device of that name is.
    pub fn of(mapper: &Mapper, name: &str) -> Result<Self> {
        let lines = match mapper.info(name)?.uuid.starts_with(UUID_PREFIX) {
            true => mapper.status(name)?,
            false => mapper.targets(name)?,
        };
        let lines = lines.into_iter().filter(|line| line.kind == TYPE);
        let targets = lines.map(|line| {
            let status: Status = line.words.parse()?;
            Ok(Target {
                findings: findings(&status),
                line,
                status,
            })
        });
        let targets: Vec<_> = targets.collect::<Result<_>>()?;
        let instead = targets.is_empty().then(|| Instead::of(mapper, name));
        Ok(Self {
            name: name.to_string(),
            targets,
            instead: instead.transpose()?,
        })
    }

    /// Whether it shows only what can be read without the spare.
    pub fn is_without_spare(&self) -> bool {
        self.instead == Some(Instead::NoSpare)
    }

    /// All that are active. One that goes meanwhile is left out.
    pub fn all(mapper: &Mapper) -> Result<Vec<Self>> {
        let names = mapper.names()?;
        let mut all: Vec<_> = names
            .iter()
            .filter_map(|name| Self::of(mapper, name).ok())
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Everything, for programs.
    pub fn value(&self) -> Value {
        let targets: Vec<_> = self.targets.iter().map(fields).collect();
        json!({
            "name": self.name,
            "without_spare": self.is_without_spare(),
            "moving": self.moving(),
            "targets": targets,
        })
    }

    /// How far its data are on their way to another disk, for programs.
    fn moving(&self) -> Value {
        match self.instead {
            Some(Instead::Moving(Progress { done, all })) => json!({ "done": done, "all": all }),
            Some(Instead::Moved) => json!("done"),
            _ => Value::Null,
        }
    }

    /// The worst that is the matter.
    fn worst(&self) -> Option<Severity> {
        let all = self.targets.iter().flat_map(|target| &target.findings);
        let worst = all.map(|finding| finding.severity).max();
        match self.instead {
            Some(Instead::NoSpare | Instead::Broken | Instead::Waits) => Some(Severity::Critical),
            Some(_) => Some(Severity::Notice),
            None => worst,
        }
    }

    /// Its lines of the table.
    fn rows(&self) -> Vec<[String; 7]> {
        if let Some(instead) = self.instead {
            let mut row = [const { String::new() }; 7];
            [row[0], row[1]] = [self.name.clone(), instead.word()];
            return vec![row];
        }
        let rows = self.targets.iter().map(|Target { status, .. }| {
            [
                self.name.clone(),
                status.health.clone(),
                status.used.to_string(),
                status.lost_blocks.to_string(),
                status.suspects.to_string(),
                format!("{}/{}", status.read_errors, status.write_errors),
                scan(status),
            ]
        });
        rows.collect()
    }

    /// What is the matter and what to do, in sentences.
    fn sentences(&self) -> Vec<String> {
        if let Some(instead) = self.instead {
            return vec![instead.sentence(&self.name)];
        }
        let all = self.targets.iter().flat_map(|target| &target.findings);
        all.map(|finding| {
            let action = finding.action.replace("NAME", &self.name);
            let (severity, message) = (finding.severity.name(), &finding.message);
            format!("{}: {severity}: {message}\n    {action}", self.name)
        })
        .collect()
    }
}

/// What the scan does, for the table.
fn scan(status: &Status) -> String {
    match (status.scan.as_str(), status.scan_position.all) {
        ("stopped", _) | (_, 0) => status.scan.clone(),
        (word, all) => format!("{word} {} %", status.scan_position.of * 100 / all),
    }
}

/// The fields of a target, by name.
fn fields(target: &Target) -> Value {
    let status = &target.status;
    json!({
        "start": target.line.start,
        "sectors": target.line.sectors,
        "health": status.health,
        "used": status.used.to_string(),
        "retired": status.retired,
        "suspects": status.suspects,
        "lost_blocks": status.lost_blocks,
        "read_errors": status.read_errors,
        "write_errors": status.write_errors,
        "mode": status.mode,
        "regions": status.regions.to_string(),
        "breaker": status.breaker,
        "cache": status.cache.to_string(),
        "memory": status.memory,
        "scan": status.scan,
        "scan_position": status.scan_position.to_string(),
        "findings": target.findings,
    })
}

/// The fields of a target, in a line for people.
pub fn sentence(device: &str, status: &Status) -> String {
    format!(
        "{device}: {}, {} spare units used, {} retired, {} suspects, {} lost blocks, \
         {} read and {} write errors, {}, {} copies of the metadata good, breaker {}, memory {}, \
         scan {} at {}",
        status.health,
        status.used,
        status.retired,
        status.suspects,
        status.lost_blocks,
        status.read_errors,
        status.write_errors,
        status.mode,
        status.regions,
        status.breaker,
        status.memory,
        status.scan,
        status.scan_position
    )
}

/// The columns of the table.
const COLUMNS: [&str; 7] = [
    "ARRAY",
    "HEALTH",
    "SPARE UNITS",
    "LOST",
    "SUSPECTS",
    "ERRORS R/W",
    "SCAN",
];

/// Rows in columns that are as wide as they must be.
fn columns(rows: &[[String; 7]]) -> String {
    let head = COLUMNS.map(str::to_string);
    let all: Vec<_> = std::iter::once(&head).chain(rows).collect();
    let widths: [usize; 7] = std::array::from_fn(|at| {
        let lengths = all.iter().map(|row| row[at].chars().count());
        lengths.max().unwrap_or(0)
    });
    let lines = all.iter().map(|row| {
        let cells = row.iter().zip(widths);
        let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Arrays of the table that are not active, and should be.
fn inactive<'a>(table: &'a Remaptab, shown: &'a [Shown]) -> impl Iterator<Item = &'a str> {
    let entries = table.entries().filter(|entry| entry.is_activated());
    let names = entries.map(|entry| entry.name.as_str());
    names.filter(|name| shown.iter().all(|shown| shown.name != *name))
}

/// `remapctl status`
pub fn status(say: &Say, args: &cli::StatusArgs) -> Result<ExitCode> {
    let mapper = Mapper::new()?;
    let (shown, table) = match &args.name {
        Some(name) => (vec![Shown::of(&mapper, name)?], Remaptab::default()),
        None => (Shown::all(&mapper)?, Remaptab::read(&args.tab.tab)?),
    };
    let inactive: Vec<_> = inactive(&table, &shown).collect();
    if say.json {
        for one in &shown {
            say.both(&one.value(), format_args!(""));
        }
        for name in inactive {
            say.both(&json!({ "name": name, "inactive": true }), format_args!(""));
        }
        return Ok(ExitCode::SUCCESS);
    }
    if shown.is_empty() && inactive.is_empty() {
        say.note("no arrays");
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows: Vec<_> = shown.iter().flat_map(Shown::rows).collect();
    let mut sentences: Vec<_> = shown.iter().flat_map(Shown::sentences).collect();
    for name in &inactive {
        let mut row = [const { String::new() }; 7];
        [row[0], row[1]] = [name.to_string(), "inactive".into()];
        rows.push(row);
        sentences.push(format!(
            "{name}: critical: the array is not active\n    'remapctl activate {name}' says why"
        ));
    }
    let worst = shown.iter().filter_map(Shown::worst).max();
    if worst.is_none_or(|worst| worst == Severity::Notice) && inactive.is_empty() {
        sentences.insert(0, "all is well".into());
    }
    say.note(&format!("{}\n\n{}", columns(&rows), sentences.join("\n")));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Shown {
        let status: Status = line.parse().unwrap();
        let line = Line {
            start: 0,
            sectors: 8,
            kind: TYPE.into(),
            words: line.into(),
        };
        Shown {
            name: "safe".into(),
            targets: vec![Target {
                findings: findings(&status),
                line,
                status,
            }],
            instead: None,
        }
    }

    #[test]
    fn what_is_wrong_and_what_to_do_are_said() {
        let one = shown("damaged 1/1000 0 0 3 4 5 rw 2/2 closed 31/0/1 ok running 4096/16384");
        assert_eq!(
            columns(&one.rows()),
            "ARRAY  HEALTH   SPARE UNITS  LOST  SUSPECTS  ERRORS R/W  SCAN\n\
             safe   damaged  1/1000       3     0         4/5         running 25 %"
        );
        let sentences = one.sentences();
        assert!(sentences[0].starts_with("safe: critical: 3 blocks are lost"));
        assert!(sentences[0].contains("'remapctl list safe'"));
        assert!(sentences[1].starts_with("safe: notice: 1 unit of the disk"));
        assert_eq!(one.worst(), Some(Severity::Critical));
    }

    #[test]
    fn an_array_without_its_spare_is_critical() {
        let one = Shown {
            name: "safe".into(),
            targets: Vec::new(),
            instead: Some(Instead::NoSpare),
        };
        assert_eq!(one.worst(), Some(Severity::Critical));
        assert!(columns(&one.rows()).ends_with("safe   no-spare"));
    }

    #[test]
    fn data_that_move_are_no_array_without_its_spare() {
        let progress = Progress { done: 3, all: 4 };
        let one = Shown {
            name: "safe".into(),
            targets: Vec::new(),
            instead: Some(Instead::Moving(progress)),
        };
        assert_eq!(one.worst(), Some(Severity::Notice));
        assert!(columns(&one.rows()).ends_with("safe   moving 75 %"));
        assert!(one.sentences()[0].contains("which has 3 of 4 pieces"));
        assert_eq!(one.value()["without_spare"], false);
    }
}
