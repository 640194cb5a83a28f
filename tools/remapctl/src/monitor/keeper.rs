// SPDX-License-Identifier: GPL-2.0

//! Backing up the metadata of active arrays, beside the monitor: a disk that hangs holds no message
//! up.

use crate::backup;
use crate::cli;
use crate::say::Say;
use anyhow::Result;
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
    let mut is_due = false;
    loop {
        if !is_due && looks.recv().is_err() {
            return;
        }
        is_due = !back_up(say, args);
        let end = Instant::now() + PAUSE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match looks.recv_timeout(left) {
                Ok(()) => is_due = true,
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// Backs up all active arrays; whether that worked.
fn back_up(say: &Say, args: &cli::Monitor) -> bool {
    let all = || -> Result<bool> {
        let mapper = Mapper::new()?;
        let mut all_well = true;
        for name in backup::active(&mapper)? {
            if let Err(error) = backup::make(&mapper, &name, &args.tab.tab, &args.store) {
                say.error(&error.context(format!("array '{name}' is not backed up")));
                all_well = false;
            }
        }
        Ok(all_well)
    };
    all().unwrap_or_else(|error| {
        say.error(&error);
        false
    })
}
