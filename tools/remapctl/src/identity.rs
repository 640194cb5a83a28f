// SPDX-License-Identifier: GPL-2.0

//! What tells a device from all others, wherever it is plugged in.

use crate::sysfs::BlockDevice;
use anyhow::{
    bail,
    Context,
    Result, //
};
use std::fmt;
use std::str::FromStr;

/// A device by what it says of itself. In text: `WWID=naa.5000c500a1b2c3d4,SECTORS=7814037168`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The disk's name in the world (`wwid` in sysfs).
    pub wwid: Option<String>,
    /// The disk's serial number.
    pub serial: Option<String>,
    /// The UUID of a mapped device.
    pub dm_uuid: Option<String>,
    /// The partition's UUID; a whole disk has none.
    pub partuuid: Option<String>,
    /// The length in sectors.
    pub sectors: Option<u64>,
}

/// What stands for a character that a word of the table must not have.
const REPLACEMENT: char = '_';

/// Whether a word of the table may have that character.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.:+".contains(c)
}

/// A value as a word, in which spaces and the like are replaced.
fn word(value: &str) -> String {
    let parts: Vec<_> = value.split_whitespace().collect();
    let replace = |c| if is_plain(c) { c } else { REPLACEMENT };
    parts.join("_").chars().map(replace).collect()
}

impl Identity {
    /// What a device says of itself.
    pub fn of(device: &BlockDevice) -> Result<Self> {
        let disk = device.disk()?;
        let word = |value: Option<String>| value.map(|value| word(&value));
        Ok(Self {
            wwid: word(disk.wwid()),
            serial: word(disk.serial()),
            dm_uuid: word(disk.attribute("dm/uuid")),
            partuuid: word(device.uevent("PARTUUID")),
            sectors: device.sectors(),
        })
    }

    /// Whether it can tell a device from others: its length alone does not.
    pub fn is_telling(&self) -> bool {
        let names = [&self.wwid, &self.serial, &self.dm_uuid, &self.partuuid];
        names.into_iter().any(Option::is_some)
    }

    /// Whether a device is the one that is meant: it has all that is named here, and no partition
    /// is taken for a disk.
    pub fn is_of(&self, device: &Self) -> bool {
        let has = |wanted: &Option<String>, found| wanted.is_none() || wanted == found;
        self.is_telling()
            && has(&self.wwid, &device.wwid)
            && has(&self.serial, &device.serial)
            && has(&self.dm_uuid, &device.dm_uuid)
            && self.partuuid == device.partuuid
            && (self.sectors.is_none() || self.sectors == device.sectors)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sectors = self.sectors.map(|sectors| sectors.to_string());
        let all = [
            ("WWID", &self.wwid),
            ("SERIAL", &self.serial),
            ("DMUUID", &self.dm_uuid),
            ("PARTUUID", &self.partuuid),
            ("SECTORS", &sectors),
        ];
        let known = all.iter().filter_map(|(name, value)| {
            let value = value.as_ref()?;
            Some(format!("{name}={value}"))
        });
        out.write_str(&known.collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Identity {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut this = Self::default();
        for part in text.split(',') {
            let pair = part.split_once('=');
            let (name, value) = pair.with_context(|| format!("'{part}' has no '='"))?;
            if value.is_empty() || !value.chars().all(is_plain) {
                bail!("'{value}' is no value of {name}");
            }
            let place = match name {
                "WWID" => &mut this.wwid,
                "SERIAL" => &mut this.serial,
                "DMUUID" => &mut this.dm_uuid,
                "PARTUUID" => &mut this.partuuid,
                "SECTORS" => {
                    let sectors = value.parse::<u64>();
                    let sectors = sectors.with_context(|| format!("'{value}' sectors"))?;
                    if this.sectors.replace(sectors).is_some() {
                        bail!("SECTORS twice");
                    }
                    continue;
                }
                _ => bail!("'{name}': want WWID, SERIAL, DMUUID, PARTUUID or SECTORS"),
            };
            if place.replace(value.to_string()).is_some() {
                bail!("{name} twice");
            }
        }
        match this.is_telling() {
            true => Ok(this),
            false => bail!("the length alone tells no device from others"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_words() {
        for (value, want) in [
            ("t10.ATA     ST4000DM000  Z301", "t10.ATA_ST4000DM000_Z301"),
            (" WD-1,2#3 ", "WD-1_2_3"),
            ("naa.5000c500a1b2c3d4", "naa.5000c500a1b2c3d4"),
        ] {
            assert_eq!(word(value), want);
        }
    }

    #[test]
    fn a_disk_is_not_taken_for_its_partition() {
        let disk: Identity = "WWID=naa.1,SECTORS=100".parse().unwrap();
        let part: Identity = "WWID=naa.1,PARTUUID=5-01,SECTORS=50".parse().unwrap();
        assert!(disk.is_of(&disk) && part.is_of(&part));
        assert!(!disk.is_of(&part) && !part.is_of(&disk));
        // What is not named may be anything, but what is named must be there.
        let more: Identity = "WWID=naa.1,SERIAL=x,SECTORS=100".parse().unwrap();
        assert!(disk.is_of(&more) && !more.is_of(&disk));
        let longer: Identity = "WWID=naa.1,SECTORS=101".parse().unwrap();
        assert!(!disk.is_of(&longer));
    }

    #[test]
    fn what_is_no_identity_is_named() {
        for (text, want) in [
            ("", "'' has no '='"),
            ("WWID=", "'' is no value of WWID"),
            ("WWID=a b", "'a b' is no value of WWID"),
            ("WWID=a,WWID=b", "WWID twice"),
            (
                "UUID=a",
                "'UUID': want WWID, SERIAL, DMUUID, PARTUUID or SECTORS",
            ),
            ("SECTORS=5", "the length alone tells no device from others"),
            ("WWID=a,SECTORS=x", "'x' sectors"),
        ] {
            assert_eq!(text.parse::<Identity>().unwrap_err().to_string(), want);
        }
    }
}
