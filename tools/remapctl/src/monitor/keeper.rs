// SPDX-License-Identifier: GPL-2.0

//! Backing up the metadata of active arrays, beside the monitor: a disk that hangs holds no message
//! up.

use crate::backup;
use crate::cli;
use crate::say::Say;
use anyhow::anyhow;
use remap_active::mapper::Mapper;
use std::sync::mpsc::{
    sync_channel,
    Receiver,
    RecvTimeoutError,
    SyncSender, //
};
use std::thread::{
    self,
    JoinHandle, //
};
use std::time::{
    Duration,
    Instant, //
};

/// The shortest time between two looks: relocations come in bursts, and each look reads all
/// metadata. A look that failed is repeated after it.
const PAUSE: Duration = Duration::from_secs(60);

/// A thread that backs up.
pub(super) struct Keeper {
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Keeper {
    pub(super) fn start(say: Say, args: cli::Monitor) -> Self {
        let (wake, looks) = sync_channel(1);
        let thread = thread::spawn(move || keep(&say, &args, &looks));
        Self { wake, thread }
    }

    /// Something may have changed. Does not wait.
    pub(super) fn look(&self) {
        // If it is full, a look is due already.
        let _ = self.wake.try_send(());
    }

    /// Waits until all is backed up that was to be.
    pub(super) fn end(self) {
        drop(self.wake);
        // A panic was printed by the thread.
        let _ = self.thread.join();
    }
}

/// Backs up at each look until there is nobody left who asks for one.
fn keep(say: &Say, args: &cli::Monitor, looks: &Receiver<()>) {
    let (mut is_due, mut said) = (false, String::new());
    loop {
        if !is_due && looks.recv().is_err() {
            return;
        }
        let text = back_up(args).join("; ");
        is_due = !text.is_empty();
        // It is tried again and again, and said once.
        if text != said && !text.is_empty() {
            say.error(&anyhow!("not backed up: {text}"));
        }
        said = text;
        if !pause(looks, &mut is_due) {
            return;
        }
    }
}

/// Waits for [`PAUSE`], and notes whether somebody asks for a look; whether somebody is left.
fn pause(looks: &Receiver<()>, is_due: &mut bool) -> bool {
    let end = Instant::now() + PAUSE;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match looks.recv_timeout(left) {
            Ok(()) => *is_due = true,
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

/// Backs up all active arrays; what failed.
fn back_up(args: &cli::Monitor) -> Vec<String> {
    let found = Mapper::new().and_then(|mapper| Ok((backup::active(&mapper)?, mapper)));
    let (names, mapper) = match found {
        Ok(found) => found,
        Err(error) => return vec![format!("{error:#}")],
    };
    let failed = names.iter().filter_map(|name| {
        let error = backup::make(&mapper, name, &args.tab.tab, &args.store).err()?;
        Some(format!("array '{name}': {error:#}"))
    });
    failed.collect()
}
