// SPDX-License-Identifier: GPL-2.0

//! `remapctl` on real devices.

use crate::kit::*;
use serde_json::{
    json,
    Value, //
};
use std::{
    env,
    fs::{
        self,
        File, //
    },
    io::{
        Read,
        Seek, //
    },
    path::Path,
    sync::{
        atomic::{
            AtomicBool,
            Ordering, //
        },
        Arc, //
    },
};

crate::tests![
    format_create_list_remove,
    dump_and_restore_move_an_array_to_another_spare,
    repair_after_damage,
    import_bad_blocks,
    scan,
    watch_sees_a_change,
    metadata_on_main_too,
    what_a_page_cache_kept_is_not_believed,
    check_and_dump_of_an_active_array,
    a_spare_of_another_length,
    a_restore_that_is_stopped,
    import_of_what_cannot_be_read,
    mapped_devices_are_known_by_the_array,
    all_works_without_udev,
];

/// The exit status of a check that found damage.
const DAMAGED: Option<i32> = Some(4);
/// The exit status of a check that was not possible.
const NOT_CHECKED: Option<i32> = Some(8);
const CHECK: &str = "check /dev/main /dev/spare";
const DUMP: &str = "dump /dev/main /dev/spare";
const REPAIR: &str = "repair /dev/main /dev/spare";
const CREATE: &str = "create r /dev/main /dev/spare";

/// The default disks, and udev. The library of `remapctl` waits for udev when a device appears or
/// disappears, and so does `dmsetup`.
fn disks() -> Result<Disks> {
    start_udev()?;
    Disks::new()
}

fn remove(r: Remap) -> Result<()> {
    once_udev_lets_go(|| r.clone().remove())
}

/// The device `r`, created by `remapctl`.
fn ctl_create() -> Result<Remap> {
    ctl(CREATE)?;
    created()
}

/// The device `r`, once udev has made its node.
fn created() -> Result<Remap> {
    until(|| Ok(Path::new("/dev/mapper/r").exists()))?;
    Remap::at("r")
}

/// The report of a check of a whole array, behind the generation of its last commit.
fn checked() -> Result<String> {
    let said = ctl(CHECK)?;
    let last = said.lines().last().unwrap_or_default();
    let behind = last.split_once(": whole, commit ").context(said.clone())?.1;
    let (commit, rest) = behind.split_once(", ").context(said.clone())?;
    commit.parse::<u64>().context(said.clone())?;
    Ok(rest.into())
}

/// The first sectors of the relocated units.
fn relocated(r: &Remap) -> Result<Vec<u64>> {
    Ok(r.list()?.iter().map(|one| one.sector).collect())
}

/// Writes 1 MiB to the device, and returns the data.
fn filled(r: &Remap) -> Result<Vec<u8>> {
    let image = random(MIB);
    r.write(0, &image)?;
    Ok(image)
}

fn format_create_list_remove() -> Result<()> {
    let Disks { main, .. } = disks()?;
    ctl("format /dev/main /dev/spare --unit 32768")?;
    assert_eq!(ctl(CREATE)?, format!("{TABLE} 2 unit 32768"));
    let r = created()?;
    let image = filled(&r)?;
    main.bad(1000..=1000)?;
    r.write(0, &image)?;
    assert_eq!(
        ctl("list r")?,
        "sector 960 is at 2048 of the spare, 64 of 64 blocks valid"
    );
    let status = ctl_json("status r")?;
    assert_eq!(status["name"], "r");
    assert_eq!(status["targets"][0]["health"], "relocated");
    let said = ctl("status")?;
    ensure!(said.contains("\nr      relocated  1/192 "), "{said}");
    // Devices in use are refused.
    ctl_refuses("/dev/spare: in use", REPAIR)?;
    ctl_refuses("/dev/spare: in use", "format /dev/main /dev/spare")?;
    once_udev_lets_go(|| ctl("remove r").map(drop))?;
    assert!(mapped_names()?.is_empty());
    assert_eq!(checked()?, "1 units relocated");
    until(|| Ok(r.path().symlink_metadata().is_err()))?;
    ctl_create()?.holds(&image)?;
    Mapped::create("other", "0 8 error")?;
    ctl_refuses("other has no remap target", "remove other")?;
    finish()
}

fn dump_and_restore_move_an_array_to_another_spare() -> Result<()> {
    let Disks { spare, .. } = disks()?;
    let spare2 = NullDisk::new("spare2", 8)?;
    let r = Remap::create(TABLE)?;
    filled(&r)?;
    r.relocate(800, 80)?;
    let image = filled(&r)?;
    remove(r)?;
    let dump = ctl(DUMP)?;
    fs::write("kept", &dump)?;
    spare2.write(REGION, &spare.read(REGION, 80)?)?;
    ctl("restore /dev/main /dev/spare2 kept")?;
    assert_eq!(ctl("dump /dev/main /dev/spare2")?, dump);
    ctl("create r /dev/main /dev/spare2")?;
    let r = created()?;
    r.holds(&image)?;
    assert_eq!(r.used()?, "10/1536");
    finish()
}

fn repair_after_damage() -> Result<()> {
    let Disks { spare, .. } = disks()?;
    let r = Remap::create(TABLE)?;
    let image = filled(&r)?;
    r.relocate(800, 80)?;
    remove(r)?;
    spare.write_junk(0, REGION)?;
    assert_eq!(ctl_ended(CHECK)?.status, DAMAGED);
    // An unreadable region may be newer.
    spare.bad(0..=REGION - 1)?;
    ctl_refuses(
        "cannot be read, so it may be newer; '--force unreadable' overwrites it",
        REPAIR,
    )?;
    spare.good(0..=REGION - 1)?;
    ctl(REPAIR)?;
    ctl(CHECK)?;
    ctl_create()?.holds(&image)?;
    finish()
}

fn import_bad_blocks() -> Result<()> {
    let _disks = disks()?;
    let r = ctl_create()?;
    let image = filled(&r)?;
    fs::write("list", "500\n501\n600\n")?;
    ctl("import r list --dry-run")?;
    assert_eq!(r.used()?, "0/1536");
    assert_eq!(ctl("import r list")?, "relocated 2 ranges of 6 sectors");
    assert_eq!(relocated(&r)?, [1000, 1200]);
    r.holds(&image)?;
    fs::write("map", "0x0 +\n0x0 0x10000 +\n0x10000 0x200 -\n")?;
    ctl("import r map --form ddrescue")?;
    assert_eq!(relocated(&r)?, [128, 1000, 1200]);
    fs::write("list", "99999999\n")?;
    ctl_refuses("are not all on the device", "import r list")?;
    remove(r)?;
    let blocks: Vec<_> = [64, 500, 600]
        .into_iter()
        .flat_map(|first| first..first + 4)
        .map(|block: u64| block.to_string())
        .collect();
    assert_eq!(ctl(&format!("{DUMP} --form badblocks"))?, blocks.join("\n"));
    finish()
}

fn scan() -> Result<()> {
    let Disks { main, .. } = disks()?;
    Remap::create(TABLE)?;
    main.bad(20000..=20000)?;
    assert_eq!(
        ctl("scan r")?,
        "r: stopped, pass 0, 0 of 16384 units read, 0 KiB a second, at most 4096"
    );
    let said = ctl("scan r start --rate 1000000 --follow")?;
    let rest = said
        .strip_prefix("r: stopped, pass 1, all 16384 units read, ")
        .context(said.clone())?;
    let (_, rest) = rest
        .split_once(", at most 1000000, took ")
        .context(said.clone())?;
    let (took, found) = rest.split_once(" s, ").context(said.clone())?;
    took.parse::<u64>().context(said.clone())?;
    assert_eq!(
        found,
        "found 1 units that cannot be read and 0 weak ones, moved 0\n  trouble near sector 0"
    );
    let scan = &ctl_json("scan r")?["scan"];
    assert_eq!(scan["found"], 1);
    assert_eq!(scan["regions"], json!([{ "score": 4, "sector": 0 }]));
    ctl("scan r start --rate 1")?;
    ctl("scan r pause")?;
    let said = ctl("scan r")?;
    ensure!(said.starts_with("r: paused, pass 2, "), "{said}");
    ctl("scan r stop")?;
    ctl_refuses("invalid value 'later'", "scan r later")?;
    Mapped::create("other", "0 8 error")?;
    ctl_refuses("other has no remap target", "scan other")?;
    finish()
}

fn watch_sees_a_change() -> Result<()> {
    let _disks = disks()?;
    let r = ctl_create()?;
    let watch = start("remapctl", &["watch", "r", "--count", "1"])?;
    until(|| Ok(watch.printed()?.ends_with('\n')))?;
    r.relocate(800, UNIT)?;
    let seen = watch.end()?.well()?;
    let lines: Vec<_> = seen.lines().collect();
    assert_eq!(lines.len(), 2, "{seen}");
    ensure!(lines[0].starts_with("r: healthy, 0/1536 "), "{seen}");
    ensure!(lines[1].starts_with("r: relocated, 1/1536 "), "{seen}");
    finish()
}

fn metadata_on_main_too() -> Result<()> {
    const SHORTER: &str = "0 126968 remap /dev/main 0 /dev/spare 0 16384";
    const STALE: &str = "the spare's metadata are older than main's";
    let Disks { main, spare } = disks()?;
    ctl("format /dev/main /dev/spare --main-metadata")?;
    let r = ctl_create()?;
    assert_eq!(r.status()?.regions.to_string(), "4/4");
    let image = filled(&r)?;
    r.relocate(800, 80)?;
    remove(r)?;
    spare.wipe(0, REGION)?;
    main.wipe(126_968, REGION)?;
    let r = ctl_create()?;
    assert_eq!(r.status()?.regions.to_string(), "4/4");
    r.holds(&image)?;
    remove(r)?;
    // An older copy of the spare, or a new disk in its place, is refused.
    let old = spare.read(0, SPARE)?;
    let r = ctl_create()?;
    r.relocate(1600, UNIT)?;
    remove(r)?;
    spare.write(0, &old)?;
    refused(STALE, || Remap::create(SHORTER))?;
    spare.wipe(0, SPARE)?;
    refused(STALE, || Remap::create(SHORTER))?;
    finish()
}

/// The I/O of device mapper bypasses the page cache of the spare, which persists as long as the
/// spare is open.
fn what_a_page_cache_kept_is_not_believed() -> Result<()> {
    let Disks { spare, .. } = disks()?;
    let r = Remap::create(TABLE)?;
    filled(&r)?;
    r.relocate(800, UNIT)?;
    remove(r)?;
    let mut cached = File::open(spare.path())?;
    let mut kept = Vec::with_capacity(SPARE as usize * SECTOR);
    cached.read_to_end(&mut kept)?;
    let r = Remap::create(TABLE)?;
    r.relocate(1600, 80)?;
    let image = filled(&r)?;
    remove(r)?;
    assert_eq!(checked()?, "11 units relocated");
    spare.write_junk(0, REGION)?;
    ctl(REPAIR)?;
    // The written data are visible to others through the page cache.
    cached.rewind()?;
    kept.clear();
    cached.read_to_end(&mut kept)?;
    fs::write("kept", &kept)?;
    assert_eq!(ctl("dump /dev/main kept")?, ctl(DUMP)?);
    drop(cached);
    ctl(CHECK)?;
    let r = Remap::create(TABLE)?;
    assert_eq!(r.used()?, "11/1536");
    r.holds(&image)?;
    finish()
}

fn check_and_dump_of_an_active_array() -> Result<()> {
    let _disks = disks()?;
    let r = Remap::create(TABLE)?;
    r.relocate(800, UNIT)?;
    assert_eq!(checked()?, "1 units relocated, in use");
    r.relocate(1600, 80)?;
    assert_eq!(ctl_json(CHECK)?["active"], true);
    assert_eq!(checked()?, "11 units relocated, in use");
    let blocks = ctl(&format!("{DUMP} --form badblocks --block-size 4096"))?;
    assert_eq!(blocks.lines().count(), 11);
    let Ended { status, printed } = while_it_changes(&r, || ctl_ended(CHECK))?;
    match status {
        Some(0) => ensure!(printed.contains(": whole, "), "{printed}"),
        NOT_CHECKED => ensure!(
            printed.contains("the array is in use, and changed whenever it was read"),
            "{printed}"
        ),
        _ => bail!("exit status {status:?}: {printed}"),
    }
    ctl(CHECK)?;
    finish()
}

/// Runs `work` while a unit is relocated and moved back repeatedly.
fn while_it_changes<T>(r: &Remap, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let is_done = Arc::new(AtomicBool::new(false));
    let changes = beside({
        let (r, is_done) = (r.clone(), is_done.clone());
        move || {
            while !is_done.load(Ordering::Relaxed) {
                r.relocate(4000, UNIT)?;
                r.move_back(4000)?;
            }
            anyhow::Ok(())
        }
    });
    let done = work();
    is_done.store(true, Ordering::Relaxed);
    changes.end()?;
    done
}

/// The module and the tool agree on the spare lengths that have regions of the same length.
fn a_spare_of_another_length() -> Result<()> {
    let _disks = disks()?;
    let table = |len: u64| format!("0 131072 remap /dev/main 0 /dev/spare 0 {len}");
    ctl("format /dev/main /dev/spare --spare-len 8192")?;
    for len in [8191, 8184, 14344] {
        let check = ctl_ended(&format!("{CHECK} --spare-len {len}"))?;
        assert_eq!(check.status, DAMAGED);
        ensure!(!check.printed.contains("usable"), "{}", check.printed);
        let said = ctl_refuses("cannot be repaired", &format!("{REPAIR} --spare-len {len}"))?;
        let (_, reason) = said
            .trim_end()
            .rsplit_once("repaired: ")
            .context(said.clone())?;
        refused(reason, || Remap::create(&table(len)))?;
    }
    refused("the metadata are for a spare area of 8192 sectors", || {
        Remap::create(&table(8191))
    })?;
    ctl(&format!("{CHECK} --spare-len 8192"))?;
    Remap::create(&table(8192))?;
    finish()
}

/// Main's stale data do not appear, wherever `restore` is interrupted.
fn a_restore_that_is_stopped() -> Result<()> {
    /// The points of interruption, and whether there is no array then.
    const STOPS: [(u32, bool); 3] = [(3, false), (4, true), (9, false)];
    const RESTORE: &str = "restore /dev/main /dev/spare kept";
    let _disks = disks()?;
    let r = Remap::create(TABLE)?;
    r.relocate(0, 2048)?;
    let image = filled(&r)?;
    remove(r)?;
    let dump = ctl(DUMP)?;
    fs::write("kept", &dump)?;
    let dump: Value = serde_json::from_str(&dump)?;
    let uuid = dump["array"].as_str().context("the array's UUID")?;
    for (number, is_unfinished) in STOPS {
        ctl_stopped(number, &format!("{RESTORE} --force {uuid}"))?;
        if is_unfinished {
            refused("spare replace was interrupted: run it again", || {
                Remap::create(TABLE)
            })?;
            ctl_refuses("'--force unfinished' overwrites it", RESTORE)?;
            ctl(&format!("{RESTORE} --force unfinished"))?;
        } else {
            let r = Remap::create(TABLE)?;
            r.holds(&image)?;
            remove(r)?;
        }
        if ctl(CHECK).is_err() {
            ctl(REPAIR)?;
        }
    }
    Remap::create(TABLE)?.holds(&image)?;
    finish()
}

fn import_of_what_cannot_be_read() -> Result<()> {
    let Disks { main, spare } = disks()?;
    let r = ctl_create()?;
    filled(&r)?;
    main.bad(1002..=1002)?;
    fs::write("list", "400\n500\n501\n502\n503\n504\n600\n")?;
    let said = ctl_refuses("'lossy'", "import r list")?;
    let stay = ranges_that_stay(&said);
    assert_eq!(stay.len(), 1, "{said}");
    ensure!(stay[0].starts_with("sectors 1000 to 1009: "), "{said}");
    ensure!(stay[0].contains("'lossy'"), "{said}");
    assert_eq!(relocated(&r)?, [800, 1008, 1200]);
    ctl("import r list --lossy")?;
    assert_eq!(relocated(&r)?, [800, 1000, 1008, 1200]);
    // Any other error ends the command.
    spare.bad(REGION..=SPARE - REGION - 1)?;
    fs::write("list", "700\n800\n")?;
    let said = ctl_refuses("its spare unit fails", "import r list")?;
    assert!(ranges_that_stay(&said).is_empty(), "{said}");
    finish()
}

/// The ranges that an import reports as not completely relocated.
fn ranges_that_stay(said: &str) -> Vec<&str> {
    said.lines()
        .filter(|line| line.starts_with("sectors"))
        .collect()
}

fn dm_uuid() -> Result<String> {
    let words = ["info", "-c", "--noheadings", "-o", "uuid", "r"];
    Ok(dmsetup(&words)?.trim().into())
}

/// Rules of udev know the device by its UUID, whoever has formatted the spare.
fn mapped_devices_are_known_by_the_array() -> Result<()> {
    let _disks = disks()?;
    let r = ctl_create()?;
    remove(r)?;
    let array = ctl_json(CHECK)?["array"].clone();
    let wanted = format!("REMAP-{}", array.as_str().context("an array")?);
    let r = ctl_create()?;
    assert_eq!(dm_uuid()?, wanted);
    remove(r)?;
    // One that the target formats.
    let _spare = NullDisk::new("spare2", 8)?;
    ctl("create r /dev/main /dev/spare2")?;
    let array = ctl_json("check /dev/main /dev/spare2")?["array"].clone();
    let array = array.as_str().context("an array")?;
    assert_eq!(dm_uuid()?, format!("REMAP-{array}"));
    finish()
}

/// As in a rescue shell, where nobody makes the nodes of devices.
fn all_works_without_udev() -> Result<()> {
    let Disks { main, .. } = Disks::new()?;
    env::remove_var("DM_DISABLE_UDEV");
    ensure!(!Path::new("/run/udev/control").exists(), "udev runs");
    assert_eq!(ctl("status")?, "no arrays");
    assert_eq!(ctl(CREATE)?, TABLE);
    let r = Remap::at("r")?;
    let image = filled(&r)?;
    main.bad(1000..=1000)?;
    r.write(0, &image)?;
    assert_eq!(
        ctl("list r")?,
        "sector 1000 is at 2048 of the spare, 8 of 8 blocks valid"
    );
    assert_eq!(ctl_json("status")?["name"], "r");
    let watch = start("remapctl", &["watch", "r", "--count", "1"])?;
    until(|| Ok(watch.printed()?.ends_with('\n')))?;
    fs::write("list", "600\n")?;
    ctl("import r list")?;
    let seen = watch.end()?.well()?;
    ensure!(seen.contains("\nr: relocated, 2/1536 "), "{seen}");
    ctl("scan r start --rate 1000000 --follow")?;
    main.bad(2000..=2000)?;
    fs::write("list", "1000\n")?;
    // Why the target refuses is its own reason.
    ctl_refuses("'lossy'", "import r list")?;
    main.good(2000..=2000)?;
    ctl_refuses("dmsetup: ", "remove none")?;
    r.holds(&image)?;
    // What is open stays.
    let open = File::open("/dev/mapper/r")?;
    ctl_refuses("busy", "remove r")?;
    drop(open);
    ctl("remove r")?;
    assert!(mapped_names()?.is_empty());
    ensure!(!Path::new("/dev/mapper/r").exists(), "the node is there");
    Ok(())
}
