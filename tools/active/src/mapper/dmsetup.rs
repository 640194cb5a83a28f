// SPDX-License-Identifier: GPL-2.0

//! Requests by dmsetup(8), where udev does not run.

use super::{
    Access,
    Info,
    Reply,
    Requests,
    Suspend, //
};
use crate::table::{
    self,
    Line, //
};
use anyhow::{
    bail,
    Context,
    Result, //
};
use std::io::Write;
use std::process::{
    Command,
    Stdio, //
};
use std::time::Duration;

/// How often is looked for an event.
const PAUSE: Duration = Duration::from_millis(200);
/// The fields of [`Info`], as dmsetup names them.
const FIELDS: &str = "uuid,open,events,suspended,readonly,major,minor";

/// The program.
pub(super) struct Dmsetup;

/// Why a name or a UUID must not stand among a program's arguments.
fn plain<'a>(word: &'a str, what: &str) -> Result<&'a str> {
    let is_plain = !word.is_empty() && !word.starts_with('-') && !word.contains(['/', '\0']);
    match is_plain {
        true => Ok(word),
        false => bail!("'{word}' is no {what} for a mapped device"),
    }
}

/// What dmsetup printed, or what it complained of.
fn run(words: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new("dmsetup")
        .args(["--noudevsync", "--manglename", "none"])
        .args(words)
        .env("DM_DISABLE_UDEV", "1")
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("dmsetup, which is needed where udev does not run")?;
    if let Some(mut to) = child.stdin.take() {
        // A program that ends before it has read all says why.
        let _ = to.write_all(input.as_bytes());
    }
    let done = child.wait_with_output().context("dmsetup")?;
    if !done.status.success() {
        let complaint = String::from_utf8_lossy(&done.stderr);
        let complaint = complaint.lines().next().unwrap_or("").trim_end();
        bail!("dmsetup: {complaint}");
    }
    String::from_utf8(done.stdout).context("dmsetup")
}

/// The values of the fields that dmsetup prints as `DM_NAME=value`, separated by colons.
fn fields(line: &str) -> Vec<&str> {
    let values = line.trim_end().split(':').map(|field| {
        let value = field.split_once('=');
        value.map_or(field, |(_, value)| value)
    });
    values.collect()
}

/// Reads the fields of a device.
fn info(line: &str) -> Result<Info> {
    let all = fields(line);
    let [uuid, open, events, suspended, readonly, major, minor] = all[..] else {
        bail!("dmsetup: '{line}'");
    };
    let number = |word: &str| {
        let number = word.parse::<u32>();
        number.with_context(|| format!("dmsetup: '{word}' in '{line}'"))
    };
    Ok(Info {
        uuid: uuid.to_string(),
        open: number(open)?,
        events: number(events)?,
        is_suspended: suspended == "Suspended",
        is_read_only: readonly == "Read-only",
        number: (number(major)?, number(minor)?),
    })
}

/// The option that a way of access needs.
fn access_words(access: Access) -> &'static [&'static str] {
    match access {
        Access::Write => &[],
        Access::Read => &["--readonly"],
    }
}

/// A request that names a device and answers nothing.
fn request(verb: &str, options: &[&str], name: &str, input: &str) -> Result<()> {
    let mut words = vec![verb];
    words.extend(options);
    words.push(plain(name, "name")?);
    run(&words, input).map(drop)
}

impl Requests for Dmsetup {
    fn arm_poll(&self) -> Result<()> {
        Ok(())
    }

    fn wait(&self, most: Option<Duration>) -> Result<()> {
        std::thread::sleep(most.map_or(PAUSE, |most| most.min(PAUSE)));
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>> {
        let words = ["info", "-c", "--noheadings", "--nameprefixes", "--unquoted"];
        let listed = run(&[&words[..], &["-o", "name"]].concat(), "")?;
        // Where there is none, it says so in a line of its own.
        let names = listed
            .lines()
            .filter_map(|line| line.strip_prefix("DM_NAME="));
        Ok(names.map(|name| name.trim_end().to_string()).collect())
    }

    fn create(&self, name: &str, uuid: Option<&str>, access: Access) -> Result<()> {
        let mut words = vec!["create", "--notable"];
        words.extend(access_words(access));
        if let Some(uuid) = uuid {
            words.extend(["--uuid", plain(uuid, "UUID")?]);
        }
        words.push(plain(name, "name")?);
        run(&words, "").map(drop)
    }

    fn set_uuid(&self, name: &str, uuid: &str) -> Result<()> {
        let uuid = plain(uuid, "UUID")?;
        run(&["rename", plain(name, "name")?, "--setuuid", uuid], "").map(drop)
    }

    fn load(&self, name: &str, table: &[Line], access: Access) -> Result<()> {
        let lines: Vec<_> = table.iter().map(Line::to_string).collect();
        request("load", access_words(access), name, &lines.join("\n"))
    }

    fn clear(&self, name: &str) -> Result<()> {
        request("clear", &[], name, "")
    }

    fn suspend(&self, name: &str, suspend: Suspend) -> Result<()> {
        let options: &[_] = match suspend {
            Suspend::NoLockfs => &["--nolockfs"],
            Suspend::NoFlush => &["--noflush", "--nolockfs"],
        };
        request("suspend", options, name, "")
    }

    fn resume(&self, name: &str) -> Result<()> {
        request("resume", &[], name, "")
    }

    fn remove(&self, name: &str) -> Result<()> {
        request("remove", &[], name, "")
    }

    fn info(&self, name: &str) -> Result<Info> {
        let words = ["info", "-c", "--noheadings", "--nameprefixes", "--unquoted"];
        let name = plain(name, "name")?;
        info(&run(&[&words[..], &["-o", FIELDS, name]].concat(), "")?)
    }

    fn status(&self, name: &str) -> Result<Vec<Line>> {
        table::parse(&run(&["status", plain(name, "name")?], "")?)
    }

    fn table(&self, name: &str) -> Result<Vec<Line>> {
        table::parse(&run(&["table", plain(name, "name")?], "")?)
    }

    fn message(&self, name: &str, sector: u64, text: &str) -> Result<Reply> {
        let sector = sector.to_string();
        let words = ["message", plain(name, "name")?, &sector, text];
        Ok(match run(&words, "") {
            Ok(answer) => Reply::Answered(answer),
            Err(error) => Reply::Refused(error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_dmsetup_prints_them() {
        let line = "DM_UUID=REMAP-1:DM_OPEN=2:DM_EVENTS=3:DM_SUSPENDED=Active:\
                    DM_READONLY=Writeable:DM_MAJOR=253:DM_MINOR=4\n";
        let want = Info {
            uuid: "REMAP-1".into(),
            open: 2,
            events: 3,
            is_suspended: false,
            is_read_only: false,
            number: (253, 4),
        };
        assert_eq!(info(line).unwrap(), want);
        assert!(info("DM_UUID=").is_err());
        assert!(info(&line.replace("=3", "=x")).is_err());
    }

    #[test]
    fn what_a_program_could_take_for_an_option_is_refused() {
        for word in ["", "-r", "--all", "a/b"] {
            assert!(plain(word, "name").is_err(), "{word}");
        }
        assert!(plain("a b", "name").is_ok());
    }
}
