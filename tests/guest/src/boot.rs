// SPDX-License-Identifier: GPL-2.0

//! What udev's rules do when disks come: main is hidden, and the array is activated.

use crate::kit::{
    module,
    *, //
};
use rustix::mount::{
    mount_bind,
    unmount,
    UnmountFlags, //
};
use std::{
    fs::{
        self,
        File, //
    },
    path::{
        Path,
        PathBuf, //
    },
};

crate::tests![
    main_is_hidden_and_the_array_comes,
    partitions_of_main_are_hidden,
    what_is_not_to_be_activated_is_hidden,
    who_writes_to_a_disk_has_nothing_activated,
    a_disk_that_data_move_to_is_hidden,
];

/// The rules, as they are installed.
const RULES: &str = include_str!("../../../system/udev/59-remap.rules");
/// Those that start what watches arrays.
const WATCHED: &str = include_str!("../../../system/udev/63-remap-arrays.rules");
/// Where udev finds rules beside those of the system.
const FOLDER: &str = "/run/udev/rules.d";

/// A system with the rules, and an `/etc` that can be written.
fn begin() -> Result<()> {
    module::load_ours()?;
    run("cp", &["-a", "/etc", "/tmp/etc"])?;
    mount_bind("/tmp/etc", "/etc")?;
    let program = run("sh", &["-c", "command -v remapctl"])?;
    fs::create_dir_all(FOLDER)?;
    let rules = RULES.replace("/usr/sbin/remapctl", program.trim());
    for (name, text) in [
        ("59-remap.rules", &*rules),
        ("63-remap-arrays.rules", WATCHED),
    ] {
        let path = Path::new(FOLDER).join(name);
        fs::write(&path, text)?;
        run("udevadm", &["verify", &path.to_string_lossy()])?;
    }
    start_udev()
}

/// Takes down what `begin` put up.
fn end() -> Result<()> {
    finish()?;
    run("losetup", &["--detach-all"])?;
    run("udevadm", &["settle"])?;
    run("udevadm", &["control", "--exit"])?;
    Ok(unmount("/etc", UnmountFlags::empty())?)
}

/// A file as a disk, with partitions, when udev has looked at it.
fn attach(file: &str) -> Result<String> {
    let path = run("losetup", &["--find", "--show", "--partscan", file])?;
    run("udevadm", &["settle"])?;
    Ok(path.trim().into())
}

fn detach(path: &str) -> Result<()> {
    // Partitions stay where somebody had one open.
    run("udevadm", &["settle"])?;
    run("losetup", &["--detach", path])?;
    let name = path.trim_start_matches("/dev/");
    let file = Path::new("/sys/block").join(name).join("loop/backing_file");
    until(|| Ok(!file.exists()))?;
    run("udevadm", &["settle"]).map(drop)
}

/// Whether udev says that of a device.
fn says(device: &str, property: &str) -> Result<bool> {
    let all = run("udevadm", &["info", "--query=property", device])?;
    Ok(all.lines().any(|line| line == property))
}

/// What the link to a file system leads to.
fn by_uuid(uuid: &str) -> Result<Option<PathBuf>> {
    run("udevadm", &["settle"])?;
    Ok(fs::canonicalize(Path::new("/dev/disk/by-uuid").join(uuid)).ok())
}

/// Whether that leads to a mapped device, of which there is the array's only that is not hidden.
fn is_on_array(uuid: &str) -> Result<bool> {
    let found = by_uuid(uuid)?;
    Ok(found.is_some_and(|path| path.to_string_lossy().starts_with("/dev/dm-")))
}

/// A disk of which the only partition has a file system, and a spare.
fn files() -> Result<String> {
    File::create("disk")?.set_len(20 << 20)?;
    File::create("spare")?.set_len(8 << 20)?;
    fs::write("partitions", "label-id: 0x12345678\n2048,32768\n")?;
    run("sh", &["-c", "sfdisk -q disk <partitions"])?;
    let disk = attach("disk")?;
    let main = format!("{disk}p1");
    run("mkfs.ext4", &["-q", &main])?;
    run("mount", &[&main, "/mnt"])?;
    fs::write("/mnt/file", "kept")?;
    run("umount", &["/mnt"])?;
    let uuid = run("blkid", &["--probe", "-o", "value", "-s", "UUID", &main])?;
    detach(&disk)?;
    Ok(uuid.trim().into())
}

fn main_is_hidden_and_the_array_comes() -> Result<()> {
    begin()?;
    let uuid = files()?;
    let (disk, spare) = (attach("disk")?, attach("spare")?);
    let main = format!("{disk}p1");
    // As long as it belongs to no array it is a file system like any other.
    until(|| Ok(by_uuid(&uuid)?.as_deref() == Some(Path::new(&main))))?;
    ctl(&format!("adopt {main} --spare {spare} --name r"))?;
    let array_is_there = || is_on_array(&uuid);
    until(array_is_there)?;
    ensure!(
        says("/dev/mapper/r", "SYSTEMD_WANTS=remap-monitor.service")?,
        "nobody watches"
    );
    for device in [&main, &spare] {
        ensure!(says(device, "ID_FS_TYPE=remap_member")?, "{device}");
        ensure!(says(device, "SYSTEMD_READY=0")?, "{device}");
    }
    run("mount", &[&format!("UUID={uuid}"), "/mnt"])?;
    ensure!(fs::read_to_string("/mnt/file")? == "kept", "another file");
    // Beside the array nobody can use main.
    let raw = ended("mount", &[&main, "/mnt"])?;
    ensure!(raw.status != Some(0), "mounted: {}", raw.printed);
    run("umount", &["/mnt"])?;
    once_udev_lets_go(|| ctl("remove r").map(drop))?;
    assert_eq!(by_uuid(&uuid)?, None);
    detach(&disk)?;
    detach(&spare)?;
    for files in [["disk", "spare"], ["spare", "disk"]] {
        let first = attach(files[0])?;
        assert_eq!(by_uuid(&uuid)?, None, "{files:?}");
        assert!(mapped_names()?.is_empty());
        let second = attach(files[1])?;
        until(array_is_there)?;
        run("mount", &[&format!("UUID={uuid}"), "/mnt"])?;
        ensure!(fs::read_to_string("/mnt/file")? == "kept", "another file");
        run("umount", &["/mnt"])?;
        once_udev_lets_go(|| ctl("remove r").map(drop))?;
        detach(&first)?;
        detach(&second)?;
    }
    end()
}

fn partitions_of_main_are_hidden() -> Result<()> {
    begin()?;
    let uuid = files()?;
    let (disk, spare) = (attach("disk")?, attach("spare")?);
    let main = format!("{disk}p1");
    // A loop device says nothing of itself, so it is known by its path.
    ctl(&format!("adopt {disk} --spare {spare} --name r"))?;
    for device in [&disk, &main, &spare] {
        ensure!(says(device, "ID_FS_TYPE=remap_member")?, "{device}");
        ensure!(says(device, "SYSTEMD_READY=0")?, "{device}");
    }
    assert_eq!(by_uuid(&uuid)?, None);
    end()
}

fn what_is_not_to_be_activated_is_hidden() -> Result<()> {
    begin()?;
    let uuid = files()?;
    let (disk, spare) = (attach("disk")?, attach("spare")?);
    ctl(&format!("adopt {disk}p1 --spare {spare} --name r"))?;
    once_udev_lets_go(|| ctl("remove r").map(drop))?;
    let table = fs::read_to_string("/etc/remaptab")?;
    fs::write("/etc/remaptab", table.trim_end().to_string() + ",noauto\n")?;
    detach(&disk)?;
    detach(&spare)?;
    let (disk, spare) = (attach("disk")?, attach("spare")?);
    let main = format!("{disk}p1");
    ensure!(says(&main, "ID_FS_TYPE=remap_member")?, "{main}");
    ensure!(says(&spare, "REMAP_NAME=r")?, "{spare}");
    assert_eq!(by_uuid(&uuid)?, None);
    assert!(mapped_names()?.is_empty());
    // A spare of an array that no line is of is nobody else's either.
    fs::remove_file("/etc/remaptab")?;
    detach(&disk)?;
    detach(&spare)?;
    let (disk, spare) = (attach("disk")?, attach("spare")?);
    let main = format!("{disk}p1");
    ensure!(says(&spare, "ID_FS_TYPE=remap_member")?, "{spare}");
    ensure!(!says(&main, "ID_FS_TYPE=remap_member")?, "{main}");
    assert!(mapped_names()?.is_empty());
    end()
}

/// A disk says that it changed whenever somebody who could write to it closes it.
fn who_writes_to_a_disk_has_nothing_activated() -> Result<()> {
    begin()?;
    let _disks = Disks::new()?;
    run("mkfs.ext4", &["-q", "/dev/main"])?;
    ctl("adopt /dev/main --spare /dev/spare --name r")?;
    once_udev_lets_go(|| ctl("remove r").map(drop))?;
    drop(File::options().write(true).open("/dev/spare")?);
    run("udevadm", &["settle"])?;
    assert!(mapped_names()?.is_empty());
    ensure!(says("/dev/spare", "ID_FS_TYPE=remap_member")?, "the spare");
    // As when it is plugged in.
    run("udevadm", &["trigger", "--action=add", "/dev/spare"])?;
    until(|| Ok(Path::new("/dev/mapper/r").exists()))?;
    end()
}

fn a_disk_that_data_move_to_is_hidden() -> Result<()> {
    begin()?;
    let uuid = files()?;
    let (disk, spare) = (attach("disk")?, attach("spare")?);
    let main = format!("{disk}p1");
    ctl(&format!("adopt {main} --spare {spare} --name r"))?;
    run("mount", &[&format!("UUID={uuid}"), "/mnt"])?;
    File::create("new")?.set_len(24 << 20)?;
    fs::write("partitions", "label-id: 0x87654321\n2048,45056\n")?;
    run("sh", &["-c", "sfdisk -q new <partitions"])?;
    let new_disk = attach("new")?;
    let new = format!("{new_disk}p1");
    // It is killed before the table says that the move has come to its end.
    let retire = format!("retire r --to {new}");
    let is_killed = ctl_killed("rename,renameat,renameat2", 2, &retire)?;
    ensure!(is_killed, "it came to its end");
    assert_eq!(mapped_names()?, ["r", "r-state"]);
    fs::write("/mnt/more", "new")?;
    run("umount", &["/mnt"])?;
    once_udev_lets_go(|| ctl("remove r").map(drop))?;
    assert!(mapped_names()?.is_empty());
    for file in [&disk, &spare, &new_disk] {
        detach(file)?;
    }
    let new = format!("{}p1", attach("new")?);
    ensure!(says(&new, "REMAP_ROLE=new")?, "{new}");
    let (disk, spare) = (attach("disk")?, attach("spare")?);
    until(|| is_on_array(&uuid))?;
    let table = dmsetup(&["table", "r-copy"])?;
    ensure!(table.contains(" clone "), "{table}");
    run("mount", &[&format!("UUID={uuid}"), "/mnt"])?;
    ctl(&format!("retire r --to {new}"))?;
    // While the array's device stands on it, it is found there only.
    run("udevadm", &["trigger", "--settle", &new])?;
    ensure!(says(&new, "SYSTEMD_READY=0")?, "{new}");
    ensure!(is_on_array(&uuid)?, "not the array");
    for (file, text) in [("file", "kept"), ("more", "new")] {
        ensure!(
            fs::read_to_string(Path::new("/mnt").join(file))? == text,
            "{file}"
        );
    }
    run("umount", &["/mnt"])?;
    once_udev_lets_go(|| ctl("remove r").map(drop))?;
    until(|| Ok(by_uuid(&uuid)?.as_deref() == Some(Path::new(&new))))?;
    let main = format!("{disk}p1");
    for device in [&main, &spare] {
        run("udevadm", &["trigger", "--settle", device])?;
        ensure!(says(device, "SYSTEMD_READY=0")?, "{device}");
    }
    assert!(mapped_names()?.is_empty());
    end()
}
