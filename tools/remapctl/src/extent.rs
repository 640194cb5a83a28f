// SPDX-License-Identifier: GPL-2.0

//! How far what is on main reaches: blkid(8) of util-linux knows.

use crate::device::Device;
use anyhow::{
    bail,
    Context,
    Result, //
};
use std::collections::BTreeMap;
use std::process::Command;

/// The exit status of blkid where there is nothing that it knows.
const NOTHING: i32 = 2;
/// Its exit status where there is more than one thing.
const AMBIGUOUS: i32 = 8;

/// What is on a device.
#[derive(Debug, PartialEq)]
pub struct Extent {
    /// What it is called.
    pub what: String,
    /// How many sectors it takes; `None` if that cannot be told.
    pub sectors: Option<u64>,
    /// Its UUID, if it has one.
    pub uuid: Option<String>,
    /// Its label, if it has one.
    pub label: Option<String>,
}

impl Extent {
    /// Looks at a device from a sector on.
    pub fn of(device: &Device, start: u64) -> Result<Option<Self>> {
        let mut command = Command::new("blkid");
        command.args(["--probe", "--output", "export", "--offset"]);
        command.arg((start << 9).to_string()).arg(device.path());
        let done = command.output();
        let done = done.context("blkid, which tells how long a file system on main is")?;
        match done.status.code() {
            Some(0) => Ok(Self::parse(&String::from_utf8_lossy(&done.stdout))),
            Some(NOTHING) => Ok(None),
            Some(AMBIGUOUS) => Ok(Some(Self {
                what: "more than one thing".into(),
                sectors: None,
                uuid: None,
                label: None,
            })),
            _ => bail!(
                "blkid: {}",
                String::from_utf8_lossy(&done.stderr).trim_end()
            ),
        }
    }

    /// Reads what blkid says.
    fn parse(text: &str) -> Option<Self> {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let found: BTreeMap<_, _> = pairs.collect();
        let text = |name| found.get(name).map(ToString::to_string);
        let number = |name| found.get(name)?.parse::<u64>().ok();
        let bytes = number("FSBLOCKSIZE")
            .zip(number("FSLASTBLOCK"))
            .and_then(|(size, count)| size.checked_mul(count))
            .or_else(|| number("FSSIZE"));
        let table = || Some(format!("{} partition table", found.get("PTTYPE")?));
        Some(Self {
            what: text("TYPE").or_else(table)?,
            sectors: bytes.map(|bytes| bytes.div_ceil(512)),
            uuid: text("UUID"),
            label: text("LABEL"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_blkid_says_is_read() {
        for (text, want) in [
            (
                "DEVNAME=x\nFSBLOCKSIZE=1024\nFSLASTBLOCK=65536\nFSSIZE=60000000\nTYPE=ext4\n",
                Some(("ext4", Some(131_072))),
            ),
            ("FSSIZE=1000\nTYPE=romfs\n", Some(("romfs", Some(2)))),
            ("TYPE=LVM2_member\n", Some(("LVM2_member", None))),
            ("PTTYPE=gpt\n", Some(("gpt partition table", None))),
            ("DEVNAME=x\n", None),
            ("", None),
        ] {
            let want = want.map(|(what, sectors)| Extent {
                what: what.to_string(),
                sectors,
                uuid: None,
                label: None,
            });
            assert_eq!(Extent::parse(text), want, "{text}");
        }
    }

    #[test]
    fn names_are_read() {
        let found = Extent::parse("LABEL=my data\nUUID=0-1\nTYPE=xfs\n").unwrap();
        assert_eq!(found.uuid.as_deref(), Some("0-1"));
        assert_eq!(found.label.as_deref(), Some("my data"));
    }
}
