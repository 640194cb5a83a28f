// SPDX-License-Identifier: GPL-2.0

//! Suspend, resume, reload, removal, and the life cycle of the module.

use crate::kit::{
    faults::{
        fail_allocations,
        fail_workers,
        let_workers_be,
        no_leak, //
    },
    module,
    *, //
};
use crash::{
    units::Units,
    versions::Known, //
};
use remap_active::answer::Answer;
use rustix::io::Errno;
use std::{
    env,
    ops::Range, //
};

crate::tests![
    suspend_keeps_the_map,
    no_moves_while_suspended,
    reload_hands_the_map_over,
    reload_read_only_and_back,
    load_and_clear_changes_nothing,
    reload_with_another_layout_is_refused,
    second_activation_is_refused,
    noflush_suspend_under_load,
    reload_under_load,
    table_recreates_the_device,
    unload_with_a_device_open_is_refused,
    a_hundred_loads_moves_errors_and_refused_tables_do_not_leak(leaks: true),
    main_under_a_stack_of_targets,
    failing_allocations(leaks: true),
    failing_allocations_of_the_workers,
];

const IN_USE: &str = "in use by another remap device";

/// The device `r` with ten relocated units, and its data.
fn with_ten_units() -> Result<(Remap, Vec<u8>)> {
    let r = Array::new()?.r;
    r.write(0, &random(MIB))?;
    r.relocate(800, 80)?;
    let image = random(MIB);
    r.write(0, &image)?;
    Ok((r, image))
}

fn suspend_keeps_the_map() -> Result<()> {
    let (r, image) = with_ten_units()?;
    for _ in 0..3 {
        r.suspend()?;
        r.resume()?;
    }
    r.holds(&image)?;
    assert_eq!(r.used()?, "10/1536");
    Ok(())
}

fn no_moves_while_suspended() -> Result<()> {
    let r = Array::new()?.r;
    r.suspend()?;
    refused("the device is suspended", || r.relocate(8, 8))?;
    assert_eq!(r.used()?, "0/1536");
    r.resume()?;
    r.relocate(8, 8)?;
    assert_eq!(r.used()?, "1/1536");
    Ok(())
}

fn reload_hands_the_map_over() -> Result<()> {
    let (r, image) = with_ten_units()?;
    r.replace(TABLE)?;
    r.holds(&image)?;
    assert_eq!(r.used()?, "10/1536");
    r.move_back(800)?;
    assert_eq!(r.used()?, "9/1536");
    r.holds(&image)?;
    refused(IN_USE, || Mapped::create("s", TABLE))
}

fn reload_read_only_and_back() -> Result<()> {
    let (r, image) = with_ten_units()?;
    r.load_read_only(TABLE)?;
    r.suspend()?;
    r.resume()?;
    r.holds(&image)?;
    assert_eq!(r.status()?.mode, "ro");
    r.replace(TABLE)?;
    assert_eq!(r.status()?.mode, "rw");
    let image = random(MIB);
    r.write(0, &image)?;
    r.holds(&image)
}

fn load_and_clear_changes_nothing() -> Result<()> {
    let (r, image) = with_ten_units()?;
    for _ in 0..5 {
        r.load(TABLE)?;
        r.clear()?;
    }
    r.holds(&image)?;
    assert_eq!(r.used()?, "10/1536");
    refused(IN_USE, || Mapped::create("s", TABLE))
}

fn reload_with_another_layout_is_refused() -> Result<()> {
    const OTHER: &str = "0 131072 remap /dev/main 0 /dev/spare 8 8192";
    let Array { r, spare, .. } = Array::new()?;
    refused(
        "live table of this device lays out the same sectors differently",
        || r.load(OTHER),
    )?;
    r.remove()?;
    spare.write_zeroes(0, SPARE)?;
    Remap::create(OTHER)?;
    Ok(())
}

fn second_activation_is_refused() -> Result<()> {
    let r = Array::new()?.r;
    NullDisk::new("other", 8)?;
    for table in [
        TABLE,
        "0 8192 remap /dev/other 0 /dev/spare 8192 8192",
        "0 64 remap /dev/main 131008 /dev/other 0 8192",
    ] {
        refused(IN_USE, || Mapped::create("s", table)).context(table)?;
    }
    r.remove()?;
    Mapped::create("s", TABLE)?.remove()
}

/// Starts a program that writes data, reads them back and compares.
fn start_load(r: &Remap) -> Result<Running> {
    start(
        "fio",
        &[
            "--name=w",
            &format!("--filename={}", r.path().display()),
            "--ioengine=libaio",
            "--direct=1",
            "--rw=randwrite",
            "--bs=4k-64k",
            "--size=8M",
            "--iodepth=16",
            "--verify=crc32c",
            "--do_verify=1",
            "--verify_fatal=1",
            "--minimal",
        ],
    )
}

/// Disturbs `r` the given number of times, each time after some I/O has completed.
fn under_load(r: &Remap, times: u32, mut disturb: impl FnMut() -> Result<()>) -> Result<()> {
    let mut left = times;
    while left > 0 {
        let mut load = start_load(r)?;
        while left > 0 {
            let before = r.counted()?;
            until(|| Ok(load.has_ended()? || r.counted()? != before))?;
            if load.has_ended()? {
                break;
            }
            disturb()?;
            left -= 1;
        }
        load.end()?.well()?;
    }
    Ok(())
}

fn noflush_suspend_under_load() -> Result<()> {
    let r = Array::new()?.r;
    r.relocate(0, 800)?;
    under_load(&r, 15, || {
        r.suspend_noflush()?;
        r.resume()
    })?;
    assert_eq!(r.used()?, "100/1536");
    Ok(())
}

fn reload_under_load() -> Result<()> {
    let r = Array::new()?.r;
    r.relocate(0, 800)?;
    under_load(&r, 10, || r.replace(TABLE))?;
    assert_eq!(r.used()?, "100/1536");
    Ok(())
}

fn table_recreates_the_device() -> Result<()> {
    let r = Array::new()?.r;
    let table = r.table()?;
    r.remove()?;
    assert_eq!(Remap::create(&table)?.table()?, table);
    Ok(())
}

fn unload_with_a_device_open_is_refused() -> Result<()> {
    let r = Array::new()?.r;
    fails(module::unload("dm_remap"))?;
    assert!(module::is_loaded("dm_remap"), "the module is not loaded");
    assert_eq!(r.used()?, "0/1536");
    r.remove()?;
    module::unload("dm_remap")?;
    assert!(!module::is_loaded("dm_remap"), "the module is still loaded");
    Ok(())
}

/// The life cycle of a device, and refused tables.
fn moves_and_errors(spare: &NullDisk) -> Result<()> {
    let r = Remap::create(TABLE)?;
    r.relocate(0, 80)?;
    r.write_by(7936, &[0; 2 << 16], 1 << 16)?;
    assert_eq!(r.used()?, "11/1536");
    fails_with(r.read(16000, 8), Errno::NODATA)?;
    refused(IN_USE, || {
        Mapped::create("s", "0 131072 remap /dev/main 0 /dev/other 0 16384")
    })?;
    refused("spare area has no room", || {
        Mapped::create("s", "0 8 remap /dev/other 0 /dev/spare 0 4")
    })?;
    r.remove()?;
    Ok(spare.write_zeroes(0, SPARE)?)
}

/// The number of life cycles between two loads of the module (`CYCLES`).
fn cycles() -> Result<u32> {
    match env::var("CYCLES") {
        Ok(text) => text.parse().context("CYCLES"),
        Err(_) => Ok(1),
    }
}

fn a_hundred_loads_moves_errors_and_refused_tables_do_not_leak() -> Result<()> {
    let Disks { main, spare } = Disks::new()?;
    NullDisk::new("other", 8)?;
    main.bad(8000..=8001)?;
    main.bad(16000..=16000)?;
    module::unload("dm_remap")?;
    for _ in 0..5 {
        for _ in 0..19 {
            module::load("dm_remap", "")?;
            module::unload("dm_remap")?;
        }
        module::load("dm_remap", "")?;
        for _ in 0..cycles()? {
            moves_and_errors(&spare)?;
        }
        module::unload("dm_remap")?;
    }
    no_leak()
}

fn main_under_a_stack_of_targets() -> Result<()> {
    let Disks { main, .. } = Disks::new()?;
    NullDisk::new("spare2", 8)?;
    main.bad(8000..=8001)?;
    Mapped::create("low", TABLE)?;
    let r = Remap::create("0 131072 remap /dev/mapper/low 0 /dev/spare2 0 16384")?;
    let image = random(4 * MIB);
    r.write(0, &image)?;
    r.holds(&image)?;
    assert_eq!(r.used()?, "0/1536");
    assert_eq!(Remap::at("low")?.used()?, "1/1536");
    Ok(())
}

/// The results of an operation with each `STEP`th of its allocations failing.
struct Failing {
    /// The number of its allocations.
    allocations: u64,
    /// How often the operation failed because of a failed allocation.
    refused: u64,
    /// How often the operation succeeded.
    done: u64,
}

/// The distance between allocations that fail (`STEP`).
fn step() -> Result<u64> {
    match env::var("STEP") {
        Ok(text) => text.parse().context("STEP"),
        Err(_) => Ok(384),
    }
}

/// Repeats an operation on `r`, and fails one allocation each time, one after another, from a
/// random one of the first.
fn each_failing(what: &str, words: &[&str]) -> Result<Failing> {
    let step = step()?;
    let first = fastrand::u64(1..=step).to_string();
    let step = step.to_string();
    let said = run("nth", &[&[&first, &step, what, "r"], words].concat())?;
    eprintln!("{what}: {}", said.replace('\n', " "));
    let said = Answer::new(said);
    Ok(Failing {
        allocations: said.number("allocations")?,
        refused: said.number("refused")?,
        done: said.number("done")?,
    })
}

/// The disks are `brd` disks, which fail only by allocations. A failed allocation of null_blk may
/// be a request, which then never completes.
fn failing_allocations() -> Result<()> {
    const TARGET: [&str; 2] = ["131072", "/dev/ram0 0 /dev/ram1 0 16384"];
    module::load_ours()?;
    module::load("brd", "rd_nr=2 rd_size=65536")?;
    fail_allocations(&[])?;
    Mapped::create("r", "0 131072 error")?;
    let constructor = each_failing("constructor", &TARGET)?;
    ensure!(
        constructor.allocations >= 100,
        "the constructor makes too few allocations"
    );
    ensure!(
        step()? > 1 || constructor.refused >= 100,
        "too few failed allocations fail the constructor"
    );
    // On a blank spare, which is formatted.
    each_failing("load", &TARGET)?;
    let r = Remap::at("r")?;
    let moves = each_failing("message", &["remap %"])?;
    assert_eq!(r.used()?, format!("{}/1536", moves.done - moves.refused));
    let units = r.list_lines()?;
    for message in ["checkpoint", "list", "stats"] {
        each_failing("message", &[message])?;
    }
    each_failing("load", &TARGET)?;
    assert_eq!(r.list_lines()?, units);
    assert_eq!(r.status()?.regions.to_string(), "2/2");
    r.relocate(0, 8000)?;
    let moves = each_failing("message", &["unremap %"])?;
    assert_eq!(r.status()?.used.of, 1000 + moves.refused - moves.done);
    r.remove()?;
    no_leak()
}

/// The units that are written, around the units that are bad on main.
const WRITTEN: Range<u64> = 936..1064;

/// Writes random units the given number of times, and returns the number of failed writes.
fn write_units(r: &Remap, known: &mut Known, times: u64) -> Result<u64> {
    let mut device = Units::of(r.path())?;
    let mut failed = 0;
    for _ in 0..times {
        let (unit, version) = (fastrand::u64(WRITTEN), known.last() + 1);
        known.note(&format!("begin {unit} {version}"))?;
        match device.write(unit, version) {
            Ok(()) => known.note(&format!("ack {unit} {version}"))?,
            Err(_) => failed += 1,
        }
    }
    Ok(failed)
}

/// Fails unless the units of `r` hold the acknowledged data.
fn has_what_was_acknowledged(r: &Remap, known: &Known) -> Result<()> {
    known.check_all(&mut Units::of(r.path())?)?;
    Ok(())
}

/// The device `r`, and the data written to it while a third of the allocations of kernel workers
/// failed.
fn written_by_starved_workers() -> Result<(Remap, Known)> {
    let Disks { main, spare } = Disks::new()?;
    loop {
        // The disks allocate their memory before any failure.
        main.wipe(6144, 4096)?;
        spare.wipe(0, SPARE)?;
        let r = Remap::create(&format!("{TABLE} 3 breaker 0 0"))?;
        main.bad(8000..=8511)?;
        fail_workers(33)?;
        let mut known = Known::default();
        write_units(&r, &mut known, 200)?;
        if let_workers_be()? > 10 {
            return Ok((r, known));
        }
        r.remove()?;
        main.good(8000..=8511)?;
    }
}

/// Allocations fail in commits and elsewhere: each write works or fails, and acknowledged data are
/// kept.
fn failing_allocations_of_the_workers() -> Result<()> {
    let (r, mut known) = written_by_starved_workers()?;
    has_what_was_acknowledged(&r, &known)?;
    assert_eq!(r.message("checkpoint")?, "wrote 2 of 2 regions\n");
    assert_eq!(write_units(&r, &mut known, 50)?, 0, "writes that failed");
    r.remove()?;
    let r = Remap::create(TABLE)?;
    has_what_was_acknowledged(&r, &known)
}
