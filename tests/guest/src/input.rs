// SPDX-License-Identifier: GPL-2.0

//! Bad input is refused with a named reason and changes nothing.

use crate::kit::{
    module,
    *, //
};
use std::{
    collections::BTreeSet,
    fs, //
};

crate::tests![
    argument_counts,
    not_a_number,
    overflow,
    features,
    missing_devices,
    device_in_use,
    too_small,
    zero_length_target,
    spare_on_main,
    partitions_of_one_disk,
    misaligned_for_the_block,
    zoned_main,
    unknown_messages,
    message_arguments,
    sectors_out_of_range,
    unremap_what_is_not_relocated,
    long_answers_are_whole,
    help_lists_what_works,
];

/// The initial status in the tests of messages, which no refused message may change.
const UNCHANGED: &str = "healthy 0/1536 0 0 0 0 0 rw 2/2 closed 0/0/0 ok stopped 0/16384";

/// Fails unless the table is refused for this reason, and leaves no device.
fn no_table(reason: &str, table: &str) -> Result<()> {
    refused(reason, || Mapped::create("r", table)).with_context(|| table.to_string())?;
    assert_eq!(mapped_names()?, [""; 0], "behind '{table}'");
    Ok(())
}

/// Fails unless a target of 64 MiB with these arguments is refused for this reason.
fn no_target(reason: &str, arguments: &str) -> Result<()> {
    no_table(reason, &format!("0 131072 remap {arguments}"))
}

fn argument_counts() -> Result<()> {
    Disks::new()?;
    no_target("too few arguments", "")?;
    no_target("too few arguments", "/dev/main 0 /dev/spare 0")?;
    no_target(
        "arguments follow the last feature",
        "/dev/main 0 /dev/spare 0 16384 0 x",
    )
}

fn not_a_number() -> Result<()> {
    Disks::new()?;
    let main = "main start is not a number of sectors";
    no_target(main, "/dev/main x /dev/spare 0 16384")?;
    no_target(main, "/dev/main -1 /dev/spare 0 16384")?;
    no_target(
        "spare start is not a number of sectors",
        "/dev/main 0 /dev/spare 0x8 16384",
    )?;
    no_target(
        "spare length is not a number of sectors",
        "/dev/main 0 /dev/spare 0 8M",
    )?;
    no_target(
        "feature count is not a number",
        "/dev/main 0 /dev/spare 0 16384 many",
    )
}

fn overflow() -> Result<()> {
    Disks::new()?;
    no_target(
        "main start is not a number of sectors",
        "/dev/main 18446744073709551616 /dev/spare 0 16384",
    )?;
    no_target(
        "main device ends before the target does",
        "/dev/main 18446744073709551615 /dev/spare 0 16384",
    )?;
    no_target(
        "spare device ends before the spare area does",
        "/dev/main 0 /dev/spare 18446744073709551608 16",
    )
}

fn features() -> Result<()> {
    Disks::new()?;
    for (reason, features) in [
        ("unknown feature", "1 turbo"),
        ("fewer features than the feature count says", "1"),
        ("unit is not a number of bytes", "2 unit 4k"),
        ("unit must be a power of two", "2 unit 12288"),
        ("unit must be a power of two", "2 unit 65536"),
        ("feature given twice", "4 unit 4096 unit 4096"),
    ] {
        no_table(reason, &format!("{TABLE} {features}"))?;
    }
    Remap::create(&format!("{TABLE} 0"))?;
    Ok(())
}

fn missing_devices() -> Result<()> {
    Disks::new()?;
    let main = "cannot open main device";
    no_target(main, "/dev/none 0 /dev/spare 0 16384")?;
    no_target("cannot open spare device", "/dev/main 0 /dev/none 0 16384")?;
    no_target(main, "/dev/null 0 /dev/spare 0 16384")
}

fn device_in_use() -> Result<()> {
    Disks::new()?;
    run("mkfs.ext4", &["-q", "/dev/main"])?;
    fs::create_dir("/tmp/m")?;
    run("mount", &["/dev/main", "/tmp/m"])?;
    no_table("cannot open main device", TABLE)?;
    run("umount", &["/tmp/m"])?;
    // Only the file system was in the way.
    Remap::create(TABLE)?;
    Ok(())
}

fn too_small() -> Result<()> {
    Disks::new()?;
    no_target(
        "main device ends before the target does",
        "/dev/main 8 /dev/spare 0 16384",
    )?;
    no_target(
        "spare device ends before the spare area does",
        "/dev/main 0 /dev/spare 8 16384",
    )?;
    let smallest = 2 * REGION + UNIT;
    for sectors in [0, 2 * REGION, smallest - 1] {
        no_target(
            "spare area has no room for its metadata and one unit",
            &format!("/dev/main 0 /dev/spare 0 {sectors}"),
        )?;
    }
    let r = Remap::create(&format!(
        "0 131072 remap /dev/main 0 /dev/spare 0 {smallest}"
    ))?;
    assert_eq!(r.used()?, "0/1");
    Ok(())
}

fn zero_length_target() -> Result<()> {
    Disks::new()?;
    no_table(
        "zero-length target",
        "0 0 remap /dev/main 0 /dev/spare 0 16384",
    )
}

fn spare_on_main() -> Result<()> {
    Disks::new()?;
    no_target("spare area overlaps main", "/dev/main 0 /dev/main 0 16384")?;
    no_target(
        "spare area overlaps main",
        "/dev/main 0 /dev/main 126968 4104",
    )?;
    // Separate parts of one disk are accepted.
    let r = Remap::create("0 65536 remap /dev/main 0 /dev/main 65536 8192")?;
    r.relocate(0, 80)?;
    let image = random(MIB);
    r.write(0, &image)?;
    r.holds(&image)
}

fn partitions_of_one_disk() -> Result<()> {
    const SPARE_START: u64 = 67584;
    module::load_ours()?;
    let disk = NullDisk::new("disk", 64)?;
    fs::write("partitions", format!("2048,65536\n{SPARE_START},16384\n"))?;
    run(
        "sh",
        &["-c", "sfdisk -q --no-tell-kernel /dev/disk <partitions"],
    )?;
    run("partx", &["-a", "/dev/disk"])?;
    // The kernel itself prevents a disk and its partition from being opened together.
    no_target("cannot open spare device", "/dev/disk 0 /dev/disk1 0 16384")?;
    no_target(
        "main device ends before the target does",
        "/dev/disk1 0 /dev/disk2 0 16384",
    )?;
    let r = Remap::create("0 65536 remap /dev/disk1 0 /dev/disk2 0 16384")?;
    let image = random(MIB);
    r.relocate(0, 80)?;
    r.write(0, &image)?;
    r.holds(&image)?;
    disk.holds_at(SPARE_START + REGION, part(&image, 0, 80))?;
    r.remove()?;
    run("partx", &["-d", "/dev/disk"])?;
    Ok(())
}

fn misaligned_for_the_block() -> Result<()> {
    module::load_ours()?;
    NullDisk::with("main", 64, &[("blocksize", "4096")])?;
    NullDisk::new("spare", 8)?;
    let main = "main start or length is not a multiple of the block size";
    let spare = "spare start or length is not a multiple of the block size";
    no_table(main, "0 8000 remap /dev/main 1 /dev/spare 0 4800")?;
    no_table(main, "0 7999 remap /dev/main 0 /dev/spare 0 4800")?;
    no_table(spare, "0 8000 remap /dev/main 0 /dev/spare 1 4800")?;
    no_table(spare, "0 8000 remap /dev/main 0 /dev/spare 0 4801")
}

fn zoned_main() -> Result<()> {
    module::load_ours()?;
    NullDisk::with("main", 64, &[("zoned", "1"), ("zone_size", "4")])?;
    NullDisk::new("spare", 8)?;
    no_table("zoned devices are not supported", TABLE)
}

/// Fails unless `r` refuses the message for this reason, reports the reason, and is unchanged.
fn no_message(r: &Remap, reason: &str, message: &str) -> Result<()> {
    refused(reason, || r.message(message)).with_context(|| format!("'{message}'"))?;
    let said = r.message("reason")?;
    assert!(said.contains(reason), "reason after '{message}': {said}");
    assert_eq!(r.status_words()?, UNCHANGED, "behind '{message}'");
    Ok(())
}

fn unknown_messages() -> Result<()> {
    let r = Array::new()?.r;
    assert_eq!(r.message("reason")?.trim_end(), "no message was refused");
    for message in ["frobnicate", "PING", "look start"] {
        let name = message.split(' ').next().unwrap_or_default();
        no_message(
            &r,
            &format!("unknown message '{name}', see 'help'"),
            message,
        )?;
    }
    Ok(())
}

fn message_arguments() -> Result<()> {
    let r = Array::new()?.r;
    for (reason, message) in [
        (
            "argument missing: want 'remap <sector> [<sectors>] [lossy]'",
            "remap",
        ),
        ("'x' is not a number", "remap x"),
        ("too many arguments", "remap 1 2 3"),
        ("nothing to do for zero sectors", "remap 8 0"),
        ("argument missing: want 'unremap <sector>'", "unremap"),
        ("too many arguments: want 'ping'", "ping pong"),
        ("'8s' is not a number", "unremap 8s"),
    ] {
        no_message(&r, reason, message)?;
    }
    Ok(())
}

fn sectors_out_of_range() -> Result<()> {
    let r = Array::new()?.r;
    let outside = "sector 131072 is outside this target";
    for (reason, message) in [
        (outside, "remap 131072"),
        (outside, "remap 131071 2"),
        ("is outside this target", "remap 8 18446744073709551615"),
        (
            "'18446744073709551616' is not a number",
            "remap 18446744073709551616",
        ),
        (outside, "unremap 131072"),
        (outside, "retest 131072"),
    ] {
        no_message(&r, reason, message)?;
    }
    Ok(())
}

fn unremap_what_is_not_relocated() -> Result<()> {
    let r = Array::new()?.r;
    no_message(&r, "sector 8 is not relocated", "unremap 8")
}

/// The caller asks again with a larger buffer than 16 KiB.
fn long_answers_are_whole() -> Result<()> {
    let r = Array::with(1024, 8, "")?.r;
    r.relocate(2_000_000, 8800)?;
    let first = r.message("list")?;
    ensure!(first.len() > 16384, "the answer is too short for this test");
    let lines: Vec<_> = first.lines().collect();
    assert_eq!(lines.len(), 1001);
    assert_eq!(lines[1000], "more from 2008000");
    let rest = r.message("list 2008000")?;
    assert_eq!(rest.lines().count(), 100);
    let units: BTreeSet<_> = lines[..1000].iter().copied().chain(rest.lines()).collect();
    assert_eq!(units.len(), 1100);
    let sectors: Vec<_> = r.list()?.iter().map(|one| one.sector).collect();
    let all: Vec<_> = (2_000_000..2_008_800).step_by(UNIT as usize).collect();
    assert_eq!(sectors, all);
    Ok(())
}

/// Every message in `help` exists, and those without arguments work.
fn help_lists_what_works() -> Result<()> {
    let r = Array::new()?.r;
    let help = r.message("help")?;
    let names: Vec<_> = help
        .lines()
        .filter_map(|line| line.split([':', ' ']).next())
        .collect();
    for name in ["remap", "unremap", "retest", "list", "ping"] {
        assert!(names.contains(&name), "no '{name}' in:\n{help}");
    }
    for name in names {
        match name {
            "remap" | "unremap" => r.message(&format!("{name} 8"))?,
            "retest" => {
                refused("sector 8 is not a suspect", || r.message("retest 8"))?;
                continue;
            }
            _ => r.message(name)?,
        };
    }
    assert_eq!(r.message("ping")?.trim_end(), "pong");
    Ok(())
}
