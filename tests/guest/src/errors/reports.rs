// SPDX-License-Identifier: GPL-2.0

//! Counters and events.

use crate::kit::*;

crate::tests![counters_and_reset, wait_returns_on_an_event,];

fn counters_and_reset() -> Result<()> {
    let Array { r, .. } = Array::new()?;
    assert_eq!(r.count("reads")?, 0);
    r.read(0, 8)?;
    r.read(8, 8)?;
    assert_eq!(r.count("reads")?, 2);
    r.message("stats reset")?;
    assert_eq!(r.count("reads")?, 0);
    r.message("remap 0")?;
    r.read(0, 8)?;
    for name in ["reads", "redirected", "remapped"] {
        assert_eq!(r.count(name)?, 1, "{name}");
    }
    assert_eq!(
        r.status_words()?,
        "relocated 1/1536 0 0 0 0 0 rw 2/2 closed 31/0/1 ok stopped 0/16384"
    );
    Ok(())
}

fn wait_returns_on_an_event() -> Result<()> {
    let Array { r, main, .. } = Array::new()?;
    let before = r.events()?.to_string();
    let waiter = start("dmsetup", &["wait", r.name(), &before])?;
    main.bad(1003..=1003)?;
    r.write(0, &random(MIB))?;
    waiter.end()?.well()?;
    Ok(())
}
