// SPDX-License-Identifier: GPL-2.0

//! Commits: their number, checkpoints, and a failed commit.

use super::{
    again,
    format_with_copies_on_main,
    log_sector,
    regions,
    LAST,
    SHORTER_LEN, //
};
use crate::kit::{
    module,
    scsi_debug::{
        ScsiDebug,
        WRITE, //
    },
    *, //
};
use rustix::io::Errno;

crate::tests![
    relocations_that_arrive_together_share_a_commit,
    a_full_log_becomes_a_checkpoint,
    a_suspended_device_says_it_was_shut_down,
    a_failed_commit_fails_the_request_that_it_was_made_for,
];

/// The write is a single bio with forty failing units.
fn relocations_that_arrive_together_share_a_commit() -> Result<()> {
    let Array { r, main, .. } = Array::with_features("3 breaker 0 0")?;
    for unit in (0..240).step_by(6) {
        main.bad(unit * UNIT + 3..=unit * UNIT + 3)?;
    }
    let before = r.commits()?;
    let image = random(MIB);
    r.write(0, &image)?;
    assert_eq!(r.used()?, "40/1536");
    let commits = r.commits()? - before;
    assert!(commits <= 3, "{commits} commits for one write");
    let before = r.commits()?;
    r.relocate(8000, 64 * UNIT)?;
    let commits = r.commits()? - before;
    assert!(commits <= 2, "{commits} commits for one message");
    let r = again(r, TABLE)?;
    r.holds(&image)?;
    assert_eq!(r.used()?, "104/1536");
    Ok(())
}

/// Forty units without readable blocks. Each write of a block makes the block valid, which is a
/// commit.
fn a_full_log_becomes_a_checkpoint() -> Result<()> {
    const LOST: u64 = 320;
    let Array { r, main, spare } = Array::new()?;
    let image = random(MIB);
    r.write(0, &image)?;
    main.bad(8000..=8000 + LOST - 1)?;
    r.message(&format!("remap 8000 {LOST} lossy"))?;
    main.good(8000..=8000 + LOST - 1)?;
    let written = random(LOST as usize * SECTOR);
    r.write_by(8000, &written, SECTOR)?;
    r.relocate(800, 80)?;
    assert!(r.commits()? > LOST);
    let holds_all = |r: &Remap| {
        r.holds(&image)?;
        r.holds_at(8000, &written)?;
        assert_eq!(r.used()?, "50/1536");
        anyhow::Ok(())
    };
    let r = again(r, TABLE)?;
    holds_all(&r)?;
    r.remove()?;
    // The last region alone.
    spare.wipe(0, REGION)?;
    holds_all(&Remap::create(TABLE)?)
}

fn a_suspended_device_says_it_was_shut_down() -> Result<()> {
    let r = Array::new()?.r;
    let before = r.commits()?;
    r.suspend()?;
    r.resume()?;
    let commits = r.commits()? - before;
    assert!(commits <= 2, "{commits} commits for one message");
    Ok(())
}

/// A request for two units. Main never takes the first, and takes the second at the third attempt.
/// The first unit is relocated, and its commit fails while the second is served: the relocation is
/// rolled back, and the request must not be acknowledged.
fn a_failed_commit_fails_the_request_that_it_was_made_for() -> Result<()> {
    module::load_ours()?;
    let disk = NullDisk::new("disk", 64)?;
    let spare = NullDisk::new("spare", 8)?;
    let scsi = ScsiDebug::new("")?;
    let main = [
        "0 800 linear /dev/disk 0",
        "800 8 error",
        &format!("808 8 linear {} 808", scsi.path().display()),
        "816 130256 linear /dev/disk 816",
    ];
    Mapped::create("main", &main.join("\n"))?;
    format_with_copies_on_main("/dev/mapper/main")?;
    let r = Remap::create("0 126968 remap /dev/mapper/main 0 /dev/spare 0 16384")?;
    assert_eq!(regions(&r)?, "4/4");
    // The next commit probes whether main takes writes. The commit after that is for the first
    // unit.
    let failing = r.commits()? + 2;
    for (below, region) in [
        (&spare, 0),
        (&spare, LAST),
        (&disk, SHORTER_LEN),
        (&disk, MAIN - REGION),
    ] {
        let sector = log_sector(region, failing);
        below.bad(sector..=sector)?;
    }
    scsi.fail(WRITE, Some(2), [0, 0, 2, 3, 0x14, 0])?;
    fails_with(r.write(800, &random(8192)), Errno::IO)?;
    assert_eq!(r.status()?.health, "frozen");
    Ok(())
}
