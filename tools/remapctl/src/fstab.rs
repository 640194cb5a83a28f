// SPDX-License-Identifier: GPL-2.0

//! What is to be changed in fstab(5) when a disk is adopted.

use crate::sysfs::BlockDevice;
use std::path::{
    Path,
    PathBuf, //
};

/// The first fields of fstab(5) that name a device in a way that goes past the array, each with the
/// line's number. A file system's own UUID or label is found on the array.
fn bypasses(text: &str, is_main: impl Fn(&Path) -> bool) -> Vec<(usize, String)> {
    let lines = text.lines().enumerate();
    let specs = lines.filter_map(|(at, line)| {
        let spec = line.split_whitespace().next()?;
        (!spec.starts_with('#')).then(|| (at + 1, spec.to_string()))
    });
    let named = |spec: &str| {
        let by = |folder: &str, value: &str| {
            let value = value.trim_matches('"');
            Some(Path::new("/dev/disk").join(folder).join(value))
        };
        match spec.split_once('=') {
            Some(("PARTUUID", value)) => by("by-partuuid", &value.to_lowercase()),
            Some(("PARTLABEL", value)) => by("by-partlabel", value),
            Some(_) => None,
            None => spec.starts_with("/dev/").then(|| PathBuf::from(spec)),
        }
    };
    specs
        .filter(|(_, spec)| named(spec).is_some_and(|path| is_main(&path)))
        .collect()
}

/// What to do with fstab(5) now that main, or what is on its partitions, is behind the array.
pub fn advice(main: &BlockDevice, name: &str, text: &str) -> String {
    let is_main = |path: &Path| {
        let found = BlockDevice::at(path);
        found.is_ok_and(|found| found.number == main.number)
    };
    let found = bypasses(text, is_main);
    if found.is_empty() {
        return format!(
            "/etc/fstab: lines with the UUID or label of a file system stay as they are; \
             anything else that names the disk must name /dev/mapper/{name}"
        );
    }
    let lines = found.iter().map(|(at, spec)| {
        format!("/etc/fstab, line {at}: write /dev/mapper/{name} in place of {spec}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_go_past_the_array_are_found() {
        let text = "# /dev/sdb1 /old ext4\nUUID=1 / ext4 defaults 0 1\n/dev/sdb1 /data ext4\n\
                    PARTUUID=\"AB-01\" /more xfs\nLABEL=x /l ext4\ntmpfs /tmp tmpfs\n/dev/sdc1 /c xfs\n";
        let mine = ["/dev/sdb1", "/dev/disk/by-partuuid/ab-01"];
        let is_main = |path: &Path| mine.iter().any(|mine| path == Path::new(mine));
        let want = [
            (3, "/dev/sdb1".to_string()),
            (4, "PARTUUID=\"AB-01\"".into()),
        ];
        assert_eq!(bypasses(text, is_main), want);
    }
}
