// SPDX-License-Identifier: GPL-2.0

//! File systems on a disk with a growing number of unwritable units. All data remain readable: no
//! file system may notice, and acknowledged data must be found.

use crate::kit::{
    module,
    *, //
};
use rustix::fs::OFlags;
use std::{
    fs::{
        self,
        OpenOptions, //
    },
    io::Write,
    ops::Range,
    os::unix::fs::OpenOptionsExt, //
};

crate::tests![ext4, xfs, btrfs, raid1];

const DEVICE: &str = "/dev/mapper/r";
const KIB: usize = 1024;
/// Sectors of a mebibyte.
const SECTORS: u64 = (MIB / SECTOR) as u64;

/// `r` on a disk without faults at first.
struct OnDisk {
    r: Remap,
    main: Mapped,
    mebibytes: u64,
}

impl OnDisk {
    fn new(mebibytes: u64) -> Result<Self> {
        module::load_ours()?;
        NullDisk::new("disk", mebibytes)?;
        NullDisk::new("spare", 8)?;
        let sectors = mebibytes * SECTORS;
        let main = Mapped::create("main", &format!("0 {sectors} linear /dev/disk 0"))?;
        let r = Remap::create(&format!(
            "0 {sectors} remap /dev/mapper/main 0 /dev/spare 0 {SPARE} 3 breaker 0 0"
        ))?;
        Ok(Self { r, main, mebibytes })
    }

    /// Makes the last eight of every `every` sectors unwritable from now on.
    fn goes_bad(&self, every: u64) -> Result<()> {
        let mut lines = Vec::new();
        for start in (0..self.mebibytes * SECTORS).step_by(every as usize) {
            let good = every - UNIT;
            let bad = start + good;
            lines.push(format!("{start} {good} linear /dev/disk {start}"));
            lines.push(format!(
                "{bad} {UNIT} flakey /dev/disk {bad} 0 1 1 error_writes"
            ));
        }
        self.main.replace(&lines.join("\n"))
    }

    fn has_relocated(&self) -> Result<bool> {
        Ok(self.r.count("relocated")? > 0)
    }
}

/// Files of 1 to 512 KiB in `/mnt`, whose contents are parts of the same data.
struct Files {
    data: Vec<u8>,
    contents: Vec<Range<usize>>,
    /// The number of files written, including those that replaced others.
    written: usize,
}

impl Files {
    /// The maximum number of files, for some 64 MiB of room.
    const MOST: usize = 150;
    const LONGEST: usize = 512;

    fn new() -> Self {
        Self {
            data: random(2 * Self::LONGEST * KIB),
            contents: Vec::new(),
            written: 0,
        }
    }

    fn path(number: usize) -> String {
        format!("/mnt/{number}")
    }

    /// Writes files one after another, each durable before the next.
    fn write(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.write_one()?;
        }
        Ok(())
    }

    /// Writes a file, which replaces the oldest if there are many.
    fn write_one(&mut self) -> Result<()> {
        let number = self.written % Self::MOST;
        let len = fastrand::usize(1..=Self::LONGEST) * KIB;
        let start = fastrand::usize(0..=self.data.len() - len);
        let content = start..start + len;
        let path = Self::path(number);
        if number < self.contents.len() {
            fs::remove_file(&path)?;
            self.contents[number] = content.clone();
        } else {
            self.contents.push(content.clone());
        }
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .custom_flags(OFlags::SYNC.bits() as i32)
            .open(&path)?
            .write_all(&self.data[content])
            .with_context(|| path)?;
        self.written += 1;
        Ok(())
    }

    fn are_there(&self) -> Result<()> {
        for (number, content) in self.contents.iter().enumerate() {
            let path = Self::path(number);
            same(&fs::read(&path)?, &self.data[content.clone()], &path)?;
        }
        Ok(())
    }

    /// Writes files while the disk goes bad, until units are relocated: the file system chooses the
    /// locations of files, and may miss all bad sectors.
    fn outlive(&mut self, disk: &OnDisk, every: u64) -> Result<()> {
        self.write(8)?;
        disk.goes_bad(every)?;
        self.write(22)?;
        while !disk.has_relocated()? {
            self.write(20)?;
        }
        Ok(())
    }
}

fn mount(device: &str) -> Result<()> {
    run("mount", &[device, "/mnt"])?;
    Ok(())
}

fn unmount() -> Result<()> {
    run("umount", &["/mnt"])?;
    Ok(())
}

/// Fails if a file system has complained.
fn nobody_noticed(log: &mut KernelLog) -> Result<()> {
    let complains = |line: &String| {
        let line = line.to_lowercase();
        let of_file_system = ["ext4", "xfs", "btrfs"]
            .iter()
            .find_map(|name| line.split_once(name));
        of_file_system.is_some_and(|(_, rest)| rest.contains("error") || rest.contains("corrupt"))
    };
    match log.lines()?.iter().find(|line| complains(line)) {
        Some(line) => bail!("the file system noticed: {line}"),
        None => Ok(()),
    }
}

/// Runs a program on the device.
fn run_on(device: &str, command: &[&str]) -> Result<()> {
    let (program, words) = command.split_first().context("a command")?;
    run(program, &[words, &[device]].concat())?;
    Ok(())
}

fn file_system(mebibytes: u64, make: &[&str], check: &[&str]) -> Result<()> {
    let mut log = KernelLog::now()?;
    let disk = OnDisk::new(mebibytes)?;
    run_on(DEVICE, make)?;
    mount(DEVICE)?;
    let mut files = Files::new();
    files.outlive(&disk, 2048)?;
    unmount()?;
    run_on(DEVICE, check)?;
    mount(DEVICE)?;
    files.are_there()?;
    unmount()?;
    assert_eq!(disk.r.count("lost_blocks")?, 0);
    nobody_noticed(&mut log)
}

fn ext4() -> Result<()> {
    file_system(128, &["mkfs.ext4", "-q"], &["e2fsck", "-fn"])
}

fn xfs() -> Result<()> {
    file_system(320, &["mkfs.xfs", "-q"], &["xfs_repair", "-n"])
}

fn btrfs() -> Result<()> {
    file_system(256, &["mkfs.btrfs", "-q"], &["btrfs", "check"])
}

/// A mirror with `r` as one leg.
fn raid1() -> Result<()> {
    const MIRROR: &str = "/dev/md0";
    let mut log = KernelLog::now()?;
    let disk = OnDisk::new(128)?;
    NullDisk::new("other", 128)?;
    let create = "--create /dev/md0 --run --level=1 --raid-devices=2 --assume-clean";
    let mut words: Vec<_> = create.split(' ').collect();
    words.extend([DEVICE, "/dev/other"]);
    run("mdadm", &words)?;
    run_on(MIRROR, &["mkfs.ext4", "-q"])?;
    mount(MIRROR)?;
    let mut files = Files::new();
    files.outlive(&disk, 512)?;
    unmount()?;
    run_on(MIRROR, &["e2fsck", "-fn"])?;
    let state = fs::read_to_string("/proc/mdstat")?;
    ensure!(state.contains("[UU]"), "a leg failed:\n{state}");
    run("mdadm", &["--stop", MIRROR])?;
    // The leg alone has all data.
    run("mdadm", &["--assemble", "--run", MIRROR, DEVICE])?;
    run("mount", &["-o", "ro", MIRROR, "/mnt"])?;
    files.are_there()?;
    unmount()?;
    run("mdadm", &["--stop", MIRROR])?;
    assert_eq!(disk.r.count("lost_blocks")?, 0);
    nobody_noticed(&mut log)
}
