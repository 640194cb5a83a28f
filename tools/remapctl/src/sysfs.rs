// SPDX-License-Identifier: GPL-2.0

//! Block devices as the kernel describes them in sysfs, which needs no udev.

use anyhow::{
    Context,
    Result, //
};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{
    Path,
    PathBuf, //
};

/// The folder with a link to each block device by its number.
const BY_NUMBER: &str = "/sys/dev/block";
/// The folder with a link to each block device by its name.
const BY_NAME: &str = "/sys/class/block";
/// Where the serial number begins in the page of vital product data that holds it.
const PAGE_HEADER: usize = 4;

/// A block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockDevice {
    folder: PathBuf,
    /// Its number, as `st_rdev` has it.
    pub number: u64,
    /// The name of its node.
    pub path: PathBuf,
}

impl BlockDevice {
    /// The device behind a path.
    pub fn at(path: &Path) -> Result<Self> {
        let found = fs::metadata(path).with_context(|| path.display().to_string())?;
        Self::numbered(found.rdev())
            .with_context(|| format!("{}: not a block device", path.display()))
    }

    /// The device of that number.
    pub fn numbered(number: u64) -> Result<Self> {
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        let link = Path::new(BY_NUMBER).join(format!("{major}:{minor}"));
        Self::described(&link)
    }

    fn described(link: &Path) -> Result<Self> {
        let folder = link.canonicalize();
        let folder = folder.with_context(|| link.display().to_string())?;
        let uevent = fs::read_to_string(folder.join("uevent"))?;
        let name = value(&uevent, "DEVNAME").context("a device without a name")?;
        let number = fs::read_to_string(folder.join("dev"))?;
        let number = parse_number(number.trim()).context("a device without a number")?;
        Ok(Self {
            number,
            path: Path::new("/dev").join(name),
            folder,
        })
    }

    /// All that there are. Those that go meanwhile are left out.
    pub fn all() -> Result<Vec<Self>> {
        let mut found: Vec<_> = fs::read_dir(BY_NAME)
            .context(BY_NAME)?
            .filter_map(|entry| Self::described(&entry.ok()?.path()).ok())
            .collect();
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// An attribute, without spaces around it; `None` if it has no such one, or an empty one.
    pub fn attribute(&self, name: &str) -> Option<String> {
        let text = fs::read(self.folder.join(name)).ok()?;
        let text = String::from_utf8_lossy(&text);
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!text.is_empty()).then(|| text.to_string())
    }

    /// Sets an attribute.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, value).with_context(|| path.display().to_string())
    }

    /// One of the values that go with its events.
    pub fn uevent(&self, name: &str) -> Option<String> {
        let text = self.attribute("uevent")?;
        value(&text, name).map(str::to_string)
    }

    /// Its length in sectors.
    pub fn sectors(&self) -> Option<u64> {
        self.attribute("size")?.parse().ok()
    }

    /// Whether it is a partition.
    pub fn is_partition(&self) -> bool {
        self.folder.join("partition").exists()
    }

    /// The first sector of a partition on its disk; 0 for a disk.
    pub fn start(&self) -> u64 {
        let start = self.attribute("start").and_then(|text| text.parse().ok());
        start.unwrap_or(0)
    }

    /// The disk of a partition, or the device itself.
    pub fn disk(&self) -> Result<Self> {
        match self.is_partition() {
            true => Self::described(self.folder.parent().context("a partition without a disk")?),
            false => Ok(self.clone()),
        }
    }

    /// The partitions of a disk.
    pub fn partitions(&self) -> Vec<Self> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten();
        let folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let folders = folders.filter(|folder| folder.join("partition").exists());
        folders
            .filter_map(|folder| Self::described(&folder).ok())
            .collect()
    }

    /// The devices that stand on it, such as mapped ones.
    pub fn holders(&self) -> Vec<Self> {
        self.linked("holders")
    }

    /// Those that a folder has links to.
    fn linked(&self, folder: &str) -> Vec<Self> {
        let entries = fs::read_dir(self.folder.join(folder)).into_iter().flatten();
        let links = entries.filter_map(|entry| Some(entry.ok()?.path()));
        links
            .filter_map(|link| Self::described(&link).ok())
            .collect()
    }

    /// The devices that it stands on.
    pub fn below(&self) -> Vec<Self> {
        self.linked("slaves")
    }

    /// The device, its partitions, and all that stands on them.
    pub fn above(&self) -> Vec<Self> {
        let mut all = vec![self.clone()];
        let mut at = 0;
        while let Some(device) = all.get(at).cloned() {
            for other in device.partitions().into_iter().chain(device.holders()) {
                if !all.contains(&other) {
                    all.push(other);
                }
            }
            at += 1;
        }
        all
    }

    /// Has the kernel send an event, so that udev looks at the device again.
    pub fn trigger(&self) -> Result<()> {
        let path = self.folder.join("uevent");
        fs::write(&path, "change").with_context(|| path.display().to_string())
    }

    /// What a SCSI device says its serial number is, or what its driver knows.
    pub fn serial(&self) -> Option<String> {
        let page = || {
            let page = fs::read(self.folder.join("device/vpd_pg80")).ok()?;
            let text = String::from_utf8_lossy(page.get(PAGE_HEADER..)?).into_owned();
            Some(text).filter(|text| !text.trim().is_empty())
        };
        let of_driver = || self.attribute("serial");
        of_driver()
            .or_else(|| self.attribute("device/serial"))
            .or_else(page)
    }

    /// The name that is its alone in the world, such as `naa.5000c500a1b2c3d4`.
    pub fn wwid(&self) -> Option<String> {
        let of_disk = self.attribute("wwid");
        of_disk.or_else(|| self.attribute("device/wwid"))
    }
}

/// The value of a name among lines `NAME=value`.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.find_map(|(found, value)| (found == name).then_some(value))
}

/// A device number, of `major:minor`.
fn parse_number(text: &str) -> Option<u64> {
    let (major, minor) = text.split_once(':')?;
    Some(rustix::fs::makedev(
        major.parse().ok()?,
        minor.parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_numbers_are_read() {
        let text = "MAJOR=8\nDEVNAME=sda1\nPARTUUID=a=b\n";
        assert_eq!(value(text, "DEVNAME"), Some("sda1"));
        assert_eq!(value(text, "PARTUUID"), Some("a=b"));
        assert_eq!(value(text, "NAME"), None);
        assert_eq!(parse_number("8:1"), Some(rustix::fs::makedev(8, 1)));
        for bad in ["", "8", "8:", "8:x", ":1"] {
            assert_eq!(parse_number(bad), None, "{bad}");
        }
    }
}
