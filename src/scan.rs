// SPDX-License-Identifier: GPL-2.0

//! What the scanner's thread and others share: what is wanted of it, how far it is, and what it
//! found.
//!
//! The thread (`scanner.rs`) may hang in a read for as long as main does. Nobody waits for it: it
//! looks here before it does anything that others would notice, and it reaches its host, the
//! instance, only while a table is active.

use crate::{
    context::Context,
    moment::Moment,
    published_map::Map,
    settings::{
        Settings,
        DEFAULT_RATE, //
    }, //
};
use kernel::{
    new_condvar,
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        CondVar,
        Mutex, //
    }, //
};
use kernel_ext::kthread::Kthread;
use remap_core::{
    geometry::{
        Geometry,
        Unit, //
    },
    scan::{
        away::Away,
        health::{
            Health,
            Spot, //
        }, //
    }, //
};

/// How many finished passes are remembered.
const HISTORY: usize = 4;
/// How many regions that gave trouble are remembered.
const REGIONS: usize = 1024;
/// How many reads are counted apart by how long they took: less than 1, 2, 4 ... milliseconds, and
/// all longer ones.
pub(crate) const LATENCIES: usize = 14;

/// What the thread has of the instance. All methods sleep, perhaps for as long as a disk takes, but
/// for [`Self::ctx`].
pub(crate) trait ScrubHost: Send + Sync {
    /// What needs no lock of the host.
    fn ctx(&self) -> &Context;

    /// The map as it will be once the next commit is durable.
    fn snapshot(&self) -> Map;

    /// A suspect could be read as a whole.
    fn found_well(&self, unit: Unit);

    /// A unit cannot be read. Whether that was not known.
    fn found_unreadable(&self, unit: Unit) -> bool;

    /// A unit can be read, but not easily. Whether it was moved, which is done only if `may_move`.
    fn found_weak(&self, unit: Unit, may_move: bool) -> bool;

    /// Something happened that an administrator must know.
    fn note_change(&self);

    /// The scan could not be begun, or ended by itself.
    fn note_failed(&self, error: Error);
}

/// What is wanted of the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// It ends.
    Stopped,
    /// It reads.
    Running,
    /// It waits.
    Paused,
}

/// One pass over main.
#[derive(Clone, Copy)]
pub(crate) struct Pass {
    pub(crate) begun: Moment,
    /// How many seconds it took, once it is finished.
    pub(crate) seconds: Option<u64>,
    /// Units that could not be read.
    pub(crate) found: u64,
    /// Units that could be read but after some tries, or slowly.
    pub(crate) weak: u64,
    /// Of those, how many were moved to the spare.
    pub(crate) moved: u64,
    /// Units that could not be read for a reason that is not the medium's.
    pub(crate) passed_over: u64,
    /// Bytes that were read.
    pub(crate) bytes: u64,
    /// How many reads took how long.
    pub(crate) latencies: [u32; LATENCIES],
}

impl Pass {
    fn new() -> Self {
        Self {
            begun: Moment::now(),
            seconds: None,
            found: 0,
            weak: 0,
            moved: 0,
            passed_over: 0,
            bytes: 0,
            latencies: [0; LATENCIES],
        }
    }

    /// Counts a read.
    pub(crate) fn read(&mut self, bytes: u64, milliseconds: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        let place = (u64::BITS - milliseconds.leading_zeros()) as usize;
        if let Some(count) = self.latencies.get_mut(place.min(LATENCIES - 1)) {
            *count = count.saturating_add(1);
        }
    }

    /// How many seconds ago it began.
    pub(crate) fn age(&self) -> u64 {
        self.begun.milliseconds() / 1000
    }
}

/// What is known of the scan.
pub(crate) struct State {
    pub(crate) wanted: Wanted,
    /// The thread is there, or is being made.
    pub(crate) is_alive: bool,
    /// It is being made, and waits for whoever makes it.
    pub(crate) is_starting: bool,
    /// Why it is not, where it should be.
    pub(crate) failed: Option<Error>,
    /// How fast it may read, in KiB a second.
    pub(crate) ceiling: u64,
    /// After how many seconds a pass begins anew, and until when it should be done; 0 for one pass
    /// only.
    pub(crate) interval: u64,
    /// It was ended by message, and does not begin by itself.
    is_off: bool,
    /// Weak units are moved.
    pub(crate) is_proactive: bool,
    /// How fast it reads, in KiB a second.
    pub(crate) rate: u64,
    /// Whether it waits for main.
    pub(crate) away: Away,
    /// The number of the pass, from 1 on.
    pub(crate) number: u64,
    /// The unit up to which all was read in order.
    pub(crate) position: u64,
    /// The suspect that the next pass reads first.
    pub(crate) retest_from: u64,
    /// The regions of main that gave trouble.
    pub(crate) health: Health<KVec<Spot>>,
    /// The pass that is under way, or the last.
    pub(crate) pass: Option<Pass>,
    /// Those before, the newest first.
    pub(crate) history: [Option<Pass>; HISTORY],
    thread: Option<Kthread>,
}

impl State {
    /// Begins a pass.
    pub(crate) fn begin_pass(&mut self) {
        if let Some(last) = self.pass.take() {
            self.history.rotate_right(1);
            if let Some(first) = self.history.first_mut() {
                *first = Some(last);
            }
        }
        // What the metadata say of it may be any number.
        self.number = self.number.saturating_add(1);
        self.pass = Some(Pass::new());
    }

    /// Notes that all was read.
    pub(crate) fn finish_pass(&mut self) {
        if let Some(pass) = &mut self.pass {
            pass.seconds = Some(pass.age());
        }
        self.health.end_pass();
        self.position = 0;
        if self.interval == 0 {
            self.wanted = Wanted::Stopped;
        }
    }

    /// Whether a pass that took so many seconds, or will, takes longer than it should.
    pub(crate) fn is_late(&self, seconds: u64) -> bool {
        self.interval > 0 && seconds > self.interval
    }

    /// Whether a pass is under way.
    pub(crate) fn is_in_pass(&self) -> bool {
        self.pass.is_some_and(|pass| pass.seconds.is_none())
    }

    /// In how many seconds the next pass begins, if one is due.
    pub(crate) fn until_next(&self) -> Option<u64> {
        let pass = self.pass.filter(|_| self.interval > 0)?;
        Some(self.interval.saturating_sub(pass.age()))
    }

    /// In one word.
    pub(crate) fn word(&self) -> &'static str {
        match self.wanted {
            _ if self.failed.is_some() => "failed",
            Wanted::Stopped if self.is_alive => "stopping",
            Wanted::Stopped => "stopped",
            Wanted::Paused => "paused",
            Wanted::Running if self.is_in_pass() => "running",
            Wanted::Running => "waiting",
        }
    }
}

/// The scan of an instance.
#[pin_data]
pub(crate) struct Scan {
    /// The host, while a table is active.
    #[pin]
    active: Mutex<Option<Arc<dyn ScrubHost>>>,
    /// Never held while a device is waited for, nor while a thread is made.
    #[pin]
    pub(crate) state: Mutex<State>,
    /// A thread was made, or could not be.
    #[pin]
    started: CondVar,
}

impl Scan {
    pub(crate) fn new(geometry: &Geometry) -> Result<Arc<Self>> {
        let spots = KVec::from_elem(Spot::default(), REGIONS, GFP_KERNEL)?;
        let state = State {
            wanted: Wanted::Stopped,
            is_alive: false,
            is_starting: false,
            failed: None,
            ceiling: DEFAULT_RATE,
            interval: 0,
            is_off: false,
            is_proactive: true,
            rate: 0,
            away: Away::default(),
            number: 0,
            position: 0,
            retest_from: 0,
            health: Health::new(spots, geometry.unit_sectors()),
            pass: None,
            history: [None; HISTORY],
            thread: None,
        };
        Arc::pin_init(
            pin_init!(Self {
                active <- new_mutex!(None, "dm_remap::scan_active"),
                state <- new_mutex!(state, "dm_remap::scan_state"),
                started <- new_condvar!("dm_remap::scan_started"),
            }),
            GFP_KERNEL,
        )
    }

    /// The host, if a table is active. Sleeps.
    pub(crate) fn active(&self) -> Option<Arc<dyn ScrubHost>> {
        self.active.lock().clone()
    }

    /// Has what follows go by these settings. Sleeps.
    pub(crate) fn configure(&self, settings: &Settings) {
        let rate = settings.scan_rate();
        let mut state = self.state.lock();
        state.ceiling = rate;
        state.interval = settings.scan_interval();
        state.is_proactive = settings.is_proactive();
        state.is_off = false;
    }

    /// Whether the thread is to be started by itself. Sleeps.
    pub(crate) fn is_due(&self) -> bool {
        let state = self.state.lock();
        state.interval > 0 && !state.is_off && !state.is_alive && state.failed.is_none()
    }

    /// A table became active. Sleeps.
    pub(crate) fn attach(&self, host: Arc<dyn ScrubHost>) {
        *self.active.lock() = Some(host);
        self.wake();
    }

    /// No table is active any more. What the thread has in flight may still end. Sleeps, until a
    /// thread that is being made is there.
    ///
    /// The kernel's maker of threads allocates with `GFP_KERNEL`, whoever asks: it may wait for I/O
    /// to this very device. So nobody may wait for a thread once device mapper holds back I/O. It
    /// does so after this, and one that is asked for afterwards is not made: either it is seen here
    /// to be being made, or there that no table is active.
    pub(crate) fn detach(&self) {
        *self.active.lock() = None;
        let mut state = self.state.lock();
        while state.is_starting {
            self.started.wait(&mut state);
        }
    }

    /// Has a thread that waits go on. Whether there is none, so that one is to be made, which
    /// [`Self::end_start`] ends. Sleeps.
    pub(crate) fn begin_start(&self) -> Result<bool> {
        let mut state = self.state.lock();
        if state.is_alive || state.is_starting {
            if state.wanted == Wanted::Stopped {
                return Err(EBUSY);
            }
            state.wanted = Wanted::Running;
            drop(state);
            self.wake();
            return Ok(false);
        }
        (state.failed, state.is_off) = (None, false);
        (state.wanted, state.is_alive, state.is_starting) = (Wanted::Running, true, true);
        Ok(true)
    }

    /// Takes note of the thread that was made, or why none was: `None` if no table is active.
    /// Sleeps.
    pub(crate) fn end_start(&self, made: Option<Result<Kthread>>) -> Result {
        let mut state = self.state.lock();
        state.is_starting = false;
        self.started.notify_all();
        match made {
            Some(Ok(thread)) => {
                // It may have ended already.
                if state.is_alive {
                    if !state.is_in_pass() {
                        state.begin_pass();
                    }
                    // It waits for that, and what was wanted of it meanwhile could not wake it.
                    thread.wake();
                    state.thread = Some(thread);
                }
                Ok(())
            }
            Some(Err(error)) => {
                (state.wanted, state.is_alive) = (Wanted::Stopped, false);
                state.failed = Some(error);
                Err(error)
            }
            None => {
                (state.wanted, state.is_alive) = (Wanted::Stopped, false);
                Err(EAGAIN)
            }
        }
    }

    /// Has the thread end or wait. Whether there was one. Sleeps.
    pub(crate) fn halt(&self, wanted: Wanted) -> bool {
        let mut state = self.state.lock();
        let is_alive = state.is_alive;
        state.is_off = wanted == Wanted::Stopped;
        if is_alive {
            state.wanted = wanted;
        }
        drop(state);
        self.wake();
        is_alive
    }

    /// So many passes were done before. Sleeps.
    pub(crate) fn resume(&self, passes: u64) {
        self.state.lock().number = passes;
    }

    /// The thread ends, as it should or with an error. Sleeps.
    pub(crate) fn ended(&self, with: Result) {
        let mut state = self.state.lock();
        state.is_alive = false;
        state.wanted = Wanted::Stopped;
        state.rate = 0;
        state.away = Away::default();
        state.thread = None;
        state.failed = with.err();
    }

    /// Has the thread look at what is wanted. Sleeps.
    pub(crate) fn wake(&self) {
        if let Some(thread) = &self.state.lock().thread {
            thread.wake();
        }
    }
}
