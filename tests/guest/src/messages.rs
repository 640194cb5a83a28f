// SPDX-License-Identifier: GPL-2.0

//! The effects of correct messages.

use crate::kit::*;
use rustix::io::Errno;

crate::tests![
    ping_and_info,
    remap_counts_what_it_did,
    unremap_copies_back,
    unremap_refuses_where_main_still_fails,
    unremap_refuses_lost_blocks,
    a_long_reason_is_cut_between_characters,
];

/// Whether the text is a UUID.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').map(str::len).collect();
    let is_hex = |letter| matches!(letter, '0'..='9' | 'a'..='f' | '-');
    groups == [8, 4, 4, 4, 12] && text.chars().all(is_hex)
}

fn ping_and_info() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    assert_eq!(r.message("ping")?, "pong\n");
    let info = r.message("info")?;
    let number = main.attribute("dev")?;
    for line in [
        &format!("main: {number} from sector 0, 131072 sectors"),
        "units: 16384 main, 1536 spare",
        "metadata: 2 of 2 regions good, commit 1",
    ] {
        assert!(
            info.lines().any(|got| got == line),
            "no '{line}' in:\n{info}"
        );
    }
    let array = info.lines().find_map(|line| line.strip_prefix("array: "));
    assert!(array.is_some_and(is_uuid), "no array in:\n{info}");
    Ok(())
}

fn remap_counts_what_it_did() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    for (message, done) in [
        (
            "remap 803",
            "remapped 1 units, 0 already were, 0 blocks lost",
        ),
        (
            "remap 800 88",
            "remapped 10 units, 1 already were, 0 blocks lost",
        ),
        // Both units that the range touches.
        (
            "remap 1607 2",
            "remapped 2 units, 0 already were, 0 blocks lost",
        ),
    ] {
        assert_eq!(r.message(message)?.trim_end(), done, "{message}");
    }
    main.bad(2003..=2004)?;
    refused("sector 2000: blocks cannot be read, 1 units stay", || {
        r.message("remap 2000")
    })?;
    assert_eq!(r.used()?, "13/1536");
    assert_eq!(
        r.message("remap 2000 lossy")?.trim_end(),
        "remapped 1 units, 0 already were, 2 blocks lost"
    );
    assert_eq!(r.status()?.lost_blocks, 2);
    Ok(())
}

fn unremap_copies_back() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    let old = random(MIB);
    r.write(0, &old)?;
    r.relocate(800, 8)?;
    let new = random(MIB);
    r.write(0, &new)?;
    main.holds_at(800, part(&old, 800, 8))?;
    r.move_back(803)?;
    r.holds(&new)?;
    main.holds_at(800, part(&new, 800, 8))?;
    let status = r.status()?;
    assert_eq!(status.health, "healthy");
    assert_eq!(status.used.to_string(), "0/1536");
    // The freed unit is used again.
    r.relocate(1600, 1536 * UNIT)?;
    let status = r.status()?;
    assert_eq!(status.health, "exhausted");
    assert_eq!(status.used.to_string(), "1536/1536");
    Ok(())
}

fn unremap_refuses_where_main_still_fails() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    let image = random(MIB);
    main.bad(1003..=1003)?;
    r.write(0, &image)?;
    refused("sector 1000: main still fails there", || r.move_back(1000))?;
    assert_eq!(r.used()?, "1/1536");
    r.holds(&image)?;
    main.good(1003..=1003)?;
    r.move_back(1000)?;
    assert_eq!(r.used()?, "0/1536");
    r.holds(&image)
}

fn unremap_refuses_lost_blocks() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    main.bad(1003..=1003)?;
    r.message("remap 1000 lossy")?;
    main.good(1003..=1003)?;
    refused(
        "sector 1000: blocks of its unit were lost, write them first",
        || r.move_back(1000),
    )?;
    fails_with(r.read(1003, 1), Errno::NODATA)?;
    let unit = random(4096);
    r.write(1000, &unit)?;
    r.move_back(1000)?;
    assert_eq!(r.used()?, "0/1536");
    r.holds_at(1000, &unit)
}

/// The stored reason may end within a character.
fn a_long_reason_is_cut_between_characters() -> Result<()> {
    let r = Array::new()?.r;
    for ascii in ["", "a", "aa"] {
        fails(r.message(&format!("{ascii}{}", "€".repeat(100))))?;
        let said = r.message("reason")?;
        assert!(said.contains(&format!("'{ascii}€€€€€€€€")), "{said}");
        // This character replaces an incomplete character in the answer.
        assert!(!said.contains('\u{fffd}'), "{said}");
    }
    // The stored reason is limited, and the next reason is complete again.
    fails(r.message("nothing"))?;
    assert_eq!(
        r.message("reason")?.trim_end(),
        "unknown message 'nothing', see 'help'"
    );
    Ok(())
}
