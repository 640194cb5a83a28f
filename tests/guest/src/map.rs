// SPDX-License-Identifier: GPL-2.0

//! The map: the destination of requests, and the splitting of bios.

use crate::kit::{
    module,
    *, //
};
use rustix::io::Errno;
use std::fs;

crate::tests![
    empty_map_passes,
    twenty_adjacent_units,
    alternating_units,
    both_ends_of_a_bio,
    first_and_last_unit_of_device,
    unaligned_bios,
    relocated_data_are_not_on_main,
    single_sectors_of_a_unit,
    four_k_logical_blocks,
    four_k_spare_raises_the_block,
    limits_are_stacked,
    limits_of_main_are_stacked,
    main_and_spare_offsets,
    several_targets_in_a_table,
    short_last_unit,
    buffered_file_system,
    units_far_apart_on_a_large_device,
];

/// Relocated units have the new data on the spare, and the old data on main.
fn are_on_the_spare(array: &Array, old: &[u8], new: &[u8]) -> Result<()> {
    for unit in array.r.list()? {
        let part_of = |image| part(image, unit.sector, UNIT);
        array.spare.holds_at(unit.spare_sector, part_of(new))?;
        array.main.holds_at(unit.sector, part_of(old))?;
    }
    Ok(())
}

/// Writes and reads data over these relocated units, in bios of 1 MiB.
fn pattern_over(units: impl IntoIterator<Item = u64>) -> Result<()> {
    let array = Array::new()?;
    let r = &array.r;
    let old = random(4 * MIB);
    r.write(0, &old)?;
    let mut sectors = Vec::new();
    for unit in units {
        r.relocate(unit * UNIT, UNIT)?;
        sectors.push(unit * UNIT);
    }
    let listed: Vec<_> = r.list()?.iter().map(|one| one.sector).collect();
    assert_eq!(listed, sectors);
    assert_eq!(r.count("remapped")?, sectors.len() as u64);
    assert_eq!(r.count("redirected")?, 0);
    r.holds(&old)?;
    let new = random(4 * MIB);
    r.write(0, &new)?;
    r.holds(&new)?;
    assert!(r.count("redirected")? >= sectors.len() as u64);
    are_on_the_spare(&array, &old, &new)
}

fn empty_map_passes() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    let image = random(4 * MIB);
    r.write(0, &image)?;
    r.holds(&image)?;
    main.holds(&image)?;
    assert_eq!(r.count("redirected")?, 0);
    Ok(())
}

fn twenty_adjacent_units() -> Result<()> {
    pattern_over(20..40)
}

fn alternating_units() -> Result<()> {
    pattern_over((1..=40).step_by(2))
}

fn both_ends_of_a_bio() -> Result<()> {
    pattern_over([0, 255, 256, 511, 512, 767])
}

fn first_and_last_unit_of_device() -> Result<()> {
    let array = Array::with(4, 8, "")?;
    let r = &array.r;
    let old = random(4 * MIB);
    r.write(0, &old)?;
    r.message("remap 0")?;
    r.message("remap 8191")?;
    r.holds(&old)?;
    let new = random(4 * MIB);
    r.write(0, &new)?;
    r.holds(&new)?;
    assert_eq!(r.list_lines()?, "0 2048 8/8\n8184 2056 8/8");
    assert_eq!(r.used()?, "2/1536");
    are_on_the_spare(&array, &old, &new)
}

fn unaligned_bios() -> Result<()> {
    let r = Array::new()?.r;
    let mut image = random(2 * MIB);
    r.write(0, &image)?;
    r.relocate(808, 240)?;
    // 1 MiB in requests that start and end within units.
    let new = random(MIB);
    r.write_by(3, &new, 15 * SECTOR)?;
    overwrite(&mut image, 3, &new);
    r.holds(&image)?;
    r.holds_at(805, part(&image, 805, 333))
}

fn relocated_data_are_not_on_main() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    let old = random(MIB);
    r.write(0, &old)?;
    r.relocate(800, 8)?;
    let new = random(MIB);
    r.write(0, &new)?;
    main.holds(part(&new, 0, 800))?;
    main.holds_at(800, part(&old, 800, 8))?;
    main.holds_at(808, part(&new, 808, 1240))?;
    r.holds(&new)
}

fn single_sectors_of_a_unit() -> Result<()> {
    let r = Array::new()?.r;
    let mut image = random(MIB);
    r.write(0, &image)?;
    r.relocate(80, 8)?;
    for sector in [80, 83, 87] {
        let data = random(SECTOR);
        r.write(sector, &data)?;
        overwrite(&mut image, sector, &data);
    }
    r.holds(&image)
}

/// The device `r` of the default table, on disks with these attributes.
fn array(main: &[(&str, &str)], spare: &[(&str, &str)]) -> Result<Remap> {
    module::load_ours()?;
    NullDisk::with("main", 64, main)?;
    NullDisk::with("spare", 8, spare)?;
    Remap::create(TABLE)
}

/// Writes and reads data, before and while some of their units are relocated.
fn writes_and_holds(r: &Remap) -> Result<()> {
    let image = random(MIB);
    r.write(0, &image)?;
    r.relocate(800, 80)?;
    r.holds(&image)?;
    let image = random(MIB);
    r.write(0, &image)?;
    r.holds(&image)
}

/// Fails unless `r` reports blocks of 4 KiB everywhere.
fn has_blocks_of_4k(r: &Remap) -> Result<()> {
    assert_eq!(r.attribute("queue/logical_block_size")?, "4096");
    assert_eq!(r.attribute("queue/physical_block_size")?, "4096");
    let info = r.message("info")?;
    assert!(info.contains("block: 4096 bytes"), "{info}");
    fails_with(r.read(1, 8), Errno::INVAL)
}

fn four_k_logical_blocks() -> Result<()> {
    let r = array(&[("blocksize", "4096")], &[])?;
    has_blocks_of_4k(&r)?;
    writes_and_holds(&r)
}

fn four_k_spare_raises_the_block() -> Result<()> {
    let r = array(&[], &[("blocksize", "4096")])?;
    has_blocks_of_4k(&r)?;
    writes_and_holds(&r)
}

fn limits_are_stacked() -> Result<()> {
    let r = array(&[("max_sectors", "64")], &[("max_sectors", "32")])?;
    assert_eq!(r.attribute("queue/physical_block_size")?, "4096");
    assert_eq!(r.attribute("queue/max_hw_sectors_kb")?, "16");
    writes_and_holds(&r)
}

fn limits_of_main_are_stacked() -> Result<()> {
    let r = array(&[("max_sectors", "32")], &[("max_sectors", "64")])?;
    assert_eq!(r.attribute("queue/max_hw_sectors_kb")?, "16");
    Ok(())
}

fn main_and_spare_offsets() -> Result<()> {
    let Disks { main, spare } = Disks::new()?;
    let r = Remap::create("0 65536 remap /dev/main 4099 /dev/spare 1001 8192")?;
    let old = random(MIB);
    r.write(0, &old)?;
    main.holds_at(4099, &old)?;
    r.relocate(800, 8)?;
    let new = random(MIB);
    r.write(0, &new)?;
    r.holds(&new)?;
    main.holds_at(4099 + 800, part(&old, 800, 8))?;
    spare.holds_at(1001 + REGION, part(&new, 800, 8))?;
    assert_eq!(r.list_lines()?, "800 3049 8/8");
    Ok(())
}

fn several_targets_in_a_table() -> Result<()> {
    let Disks { main, .. } = Disks::new()?;
    let r = Remap::create(
        "0 8192 remap /dev/main 0 /dev/spare 0 8192\n\
         8192 4096 linear /dev/main 8192\n\
         12288 8192 remap /dev/main 12288 /dev/spare 8192 8192",
    )?;
    let image = random(10 * MIB);
    r.write(0, &image)?;
    main.holds(&image)?;
    let second = |words: &[&str]| dmsetup(&[&["message", "r", "12288"], words].concat());
    r.message("remap 100")?;
    second(&["remap", "12300"])?;
    refused("sector 12300 is outside this target", || {
        r.message("remap 12300")
    })?;
    r.holds(&image)?;
    let image = random(10 * MIB);
    r.write(0, &image)?;
    r.holds(&image)?;
    assert_eq!(r.list_lines()?, "96 2048 8/8");
    assert_eq!(second(&["list"])?, "12296 10240 8/8\n");
    Ok(())
}

fn short_last_unit() -> Result<()> {
    module::load_ours()?;
    NullDisk::new("main", 4)?;
    NullDisk::new("spare", 8)?;
    let r = Remap::create("0 8189 remap /dev/main 0 /dev/spare 0 16384")?;
    let image = random(8189 * SECTOR);
    r.write(0, &image)?;
    r.message("remap 8188")?;
    assert_eq!(r.list_lines()?, "8184 2048 5/5");
    r.holds(&image)?;
    let image = random(8189 * SECTOR);
    r.write(0, &image)?;
    r.holds(&image)
}

/// A tree of small files, and a tree of large files.
fn buffered_file_system() -> Result<()> {
    const TREES: [&str; 2] = ["/usr/share/perl5", "/usr/lib/x86_64-linux-gnu/systemd"];
    let r = Array::new()?.r;
    let device = r.path().to_string_lossy();
    run("mkfs.ext4", &["-q", &device])?;
    fs::create_dir("/tmp/m")?;
    run("mount", &[&device, "/tmp/m"])?;
    run("cp", &["-r", TREES[0], TREES[1], "/tmp/m/"])?;
    r.relocate(0, 1600)?;
    rustix::fs::sync();
    fs::write("/proc/sys/vm/drop_caches", "3")?;
    for tree in TREES {
        let name = tree.rsplit('/').next().context("a tree has a name")?;
        let copy = format!("/tmp/m/{name}");
        run("diff", &["--no-dereference", "-r", tree, &copy])?;
    }
    run("umount", &["/tmp/m"])?;
    run("e2fsck", &["-fn", &device])?;
    Ok(())
}

/// On such a device, a region of the filter has many units.
fn units_far_apart_on_a_large_device() -> Result<()> {
    const END: u64 = 1 << 33;
    const MIDDLE: u64 = END / 2 + 4096;
    module::load_ours()?;
    NullDisk::with("main", END >> 11, &[("memory_backed", "0")])?;
    NullDisk::new("spare", 8)?;
    let r = Remap::create(&format!("0 {END} remap /dev/main 0 /dev/spare 0 16384"))?;
    let units: Vec<_> = [0, MIDDLE, MIDDLE + UNIT, END - UNIT]
        .map(|sector| (sector, random(4096)))
        .into();
    for (sector, data) in &units {
        r.relocate(*sector, UNIT)?;
        r.write(*sector, data)?;
    }
    assert_eq!(r.count("redirected")?, 4);
    for (sector, data) in &units {
        r.holds_at(*sector, data)?;
    }
    assert_eq!(r.count("redirected")?, 8);
    // A large read contains two of them.
    let read = r.read(MIDDLE - 512, 1024)?;
    same(part(&read, 512, 8), &units[1].1, "the first of them")?;
    same(part(&read, 520, 8), &units[2].1, "the second of them")?;
    assert_eq!(r.count("redirected")?, 10);
    // The units beside them are read from main.
    r.read(16, 8)?;
    r.read(MIDDLE - UNIT, 8)?;
    assert_eq!(r.count("redirected")?, 10);
    Ok(())
}
