// SPDX-License-Identifier: GPL-2.0

//! Who uses a block device: file systems, swap, and devices that stand on it.

use crate::sysfs::BlockDevice;
use anyhow::{
    bail,
    Context,
    Result, //
};
use std::fs;
use std::path::Path;

/// Who uses a device, or a partition of it, for people; empty if nobody.
fn users(device: &BlockDevice) -> Result<Vec<String>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("/proc/self/mountinfo")?;
    // A kernel without swap has no such file.
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    let mut found = Vec::new();
    for device in std::iter::once(device.clone()).chain(device.partitions()) {
        let path = device.path.display();
        let is_it = |source: &str| is_path_of(&device, source);
        let mounted = mounted_at(&mounts, device.number, is_it);
        found.extend(mounted.map(|at| format!("{path} is mounted at {at}")));
        if is_swap(&swaps, is_it) {
            found.push(format!("{path} is used as swap"));
        }
        let holders = device.holders();
        found.extend(holders.iter().map(|holder| {
            let name = holder.attribute("dm/name");
            let name = name.map_or_else(String::new, |name| format!(" ('{name}')"));
            format!("{path} is used by {}{name}", holder.path.display())
        }));
    }
    Ok(found)
}

/// Where programs are that run whatever happens to a device.
const OF_SYSTEM: [&str; 3] = ["/", "/usr", "/etc"];

/// Where on a device the system itself is, for people; `None` if it is elsewhere.
pub fn system_on(device: &BlockDevice) -> Result<Option<String>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("/proc/self/mountinfo")?;
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    for above in device.above() {
        let is_it = |source: &str| is_path_of(&above, source);
        if is_swap(&swaps, is_it) {
            return Ok(Some("swap".into()));
        }
        let mounted = all_mounted_at(&mounts, above.number, is_it);
        if let Some(at) = mounted
            .into_iter()
            .find(|at| OF_SYSTEM.contains(&at.as_str()))
        {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// Refuses a device that somebody uses, and says who.
pub fn check_unused(device: &BlockDevice) -> Result<()> {
    let users = users(device)?;
    match users.is_empty() {
        true => Ok(()),
        false => bail!("{}", users.join(", ")),
    }
}

/// Whether a path is that of the device.
fn is_path_of(device: &BlockDevice, path: &str) -> bool {
    path.starts_with('/')
        && BlockDevice::at(Path::new(path)).is_ok_and(|found| found.number == device.number)
}

/// Where a device is mounted, by its number, or by the path that it was mounted by: some file
/// systems have numbers of their own.
fn mounted_at(mounts: &str, number: u64, is_it: impl Fn(&str) -> bool) -> Option<String> {
    all_mounted_at(mounts, number, is_it).into_iter().next()
}

/// All places where it is mounted.
fn all_mounted_at(mounts: &str, number: u64, is_it: impl Fn(&str) -> bool) -> Vec<String> {
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    let number = format!("{major}:{minor}");
    let found = mounts.lines().filter_map(|line| {
        let (place, source) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(2);
        let (of, at) = (place.next()?, place.nth(1)?);
        let source = source.split(' ').nth(1)?;
        (of == number || is_it(&unescaped(source))).then(|| unescaped(at))
    });
    found.collect()
}

/// Whether a device is in the table of swap.
fn is_swap(swaps: &str, is_it: impl Fn(&str) -> bool) -> bool {
    let mut paths = swaps
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next());
    paths.any(|path| is_it(&unescaped(path)))
}

/// A word of such tables, in which a space is `\040`.
fn unescaped(word: &str) -> String {
    let mut text = String::new();
    let mut rest = word;
    while let Some((before, behind)) = rest.split_once('\\') {
        text.push_str(before);
        let code = behind
            .get(..3)
            .and_then(|code| u8::from_str_radix(code, 8).ok());
        match code {
            Some(code) => {
                text.push(char::from(code));
                rest = &behind[3..];
            }
            None => {
                text.push('\\');
                rest = behind;
            }
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                          30 22 0:31 / /mnt/my\\040disk rw shared:1 - btrfs /dev/sdb rw\n";

    #[test]
    fn mounts_are_found_by_number_and_by_path() {
        let sda1 = rustix::fs::makedev(8, 1);
        assert_eq!(mounted_at(MOUNTS, sda1, |_| false).as_deref(), Some("/"));
        let sdb = rustix::fs::makedev(8, 16);
        assert_eq!(mounted_at(MOUNTS, sdb, |_| false), None);
        let by_path = mounted_at(MOUNTS, sdb, |path| path == "/dev/sdb");
        assert_eq!(by_path.as_deref(), Some("/mnt/my disk"));
    }

    #[test]
    fn swap_is_found() {
        let swaps = "Filename Type Size Used Priority\n/dev/sdc\\0402 partition 8 0 -2\n";
        assert!(is_swap(swaps, |path| path == "/dev/sdc 2"));
        assert!(!is_swap(swaps, |path| path == "Filename"));
        assert!(!is_swap("", |_| true));
    }

    #[test]
    fn what_is_no_escape_stays() {
        for (word, want) in [("a\\b", "a\\b"), ("\\040\\011", " \t"), ("\\9", "\\9")] {
            assert_eq!(unescaped(word), want);
        }
    }
}
