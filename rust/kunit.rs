// SPDX-License-Identifier: GPL-2.0

//! Tests of what needs no device, run by the kernel's KUnit.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};

/// Counts how many of its kind were dropped.
struct Tracked(u32, Arc<Atomic<i32>>);

impl Drop for Tracked {
    fn drop(&mut self) {
        self.1.add(1, Relaxed);
    }
}

/// Makes something pinned.
fn pinned<T>(init: impl PinInit<T, Error>) -> Result<Pin<KBox<T>>> {
    KBox::pin_init(init, GFP_KERNEL)
}

#[kunit_tests(dm_remap_text)]
mod text {
    use crate::text::Text;
    use core::fmt::Write;

    #[test]
    fn text_is_terminated_and_cut() {
        let mut buffer = [0xffu8; 8];
        let mut text = Text::new(&mut buffer);
        assert_eq!(text.room(), 7);
        assert!(write!(text, "abc").is_ok());
        assert!(!text.is_full());
        assert!(write!(text, "defghi").is_ok());
        assert!(text.is_full());
        assert_eq!(text.room(), 0);
        assert!(write!(text, "more").is_ok());
        assert!(&buffer == b"abcdefg\0");
    }

    #[test]
    fn text_without_room() {
        let mut none = [0u8; 0];
        let mut text = Text::new(&mut none);
        assert!(write!(text, "x").is_ok());
        assert!(text.is_full());
        let mut one = [0xffu8; 1];
        let mut text = Text::new(&mut one);
        assert!(write!(text, "x").is_ok());
        assert!(text.is_full());
        assert_eq!(one[0], 0);
    }
}

#[kunit_tests(dm_remap_per_cpu)]
mod per_cpu {
    use crate::per_cpu::{
        Counter,
        Counters, //
    };

    #[derive(Clone, Copy)]
    struct Place(usize);

    impl Counter for Place {
        const COUNT: usize = 3;

        fn place(self) -> usize {
            self.0
        }
    }

    #[test]
    fn counters_begin_at_zero_and_add_up() {
        let counters = Counters::<Place>::new();
        assert!(counters.is_ok());
        let Ok(counters) = counters else { return };
        for place in 0..3 {
            assert_eq!(counters.sum(Place(place)), 0);
        }
        for _ in 0..1000 {
            counters.add(Place(1), 3);
        }
        assert_eq!(counters.sum(Place(0)), 0);
        assert_eq!(counters.sum(Place(1)), 3000);
        assert_eq!(counters.sum(Place(2)), 0);
    }

    #[test]
    fn a_counter_beyond_the_set_is_not_kept() {
        let counters = Counters::<Place>::new();
        assert!(counters.is_ok());
        let Ok(counters) = counters else { return };
        counters.add(Place(3), 1);
        counters.add(Place(usize::MAX), 1);
        assert_eq!(counters.sum(Place(3)), 0);
        for place in 0..3 {
            assert_eq!(counters.sum(Place(place)), 0);
        }
    }
}

#[kunit_tests(dm_remap_published)]
mod published {
    use super::*;
    use crate::published::{
        Blank,
        Published, //
    };

    #[test]
    fn old_values_live_as_long_as_their_readers() -> Result {
        let dropped = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let published = pinned(Published::new(Tracked(1, dropped.clone()))?)?;
        let reading = published.read();
        let old: &Tracked = &reading;
        assert_eq!(old.0, 1);
        published.replace(Blank::new(GFP_KERNEL)?, Tracked(2, dropped.clone()));
        assert_eq!(old.0, 1);
        assert_eq!(dropped.load(Relaxed), 0);
        assert_eq!(reading.0, 2);
        let held = reading.hold();
        assert_eq!(dropped.load(Relaxed), 0);
        held.release();
        published.synchronize();
        drop(published);
        assert_eq!(dropped.load(Relaxed), 2);
        Ok(())
    }

    #[test]
    fn many_replacements_leave_one_value() -> Result {
        let dropped = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let published = pinned(Published::new(Tracked(0, dropped.clone()))?)?;
        for number in 1..100 {
            published.replace(Blank::new(GFP_KERNEL)?, Tracked(number, dropped.clone()));
        }
        assert_eq!(published.read().0, 99);
        drop(published);
        assert_eq!(dropped.load(Relaxed), 100);
        Ok(())
    }
}

#[kunit_tests(dm_remap_slab)]
mod slab {
    use super::*;
    use crate::{
        blanks::Blanks,
        numa::Node,
        slab::{
            Blank,
            Effort,
            Slab, //
        }, //
    };

    #[test]
    fn an_object_lives_as_long_as_its_references() -> Result {
        let dropped = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let slab = Slab::new(c"dm_remap_kunit")?;
        // Memory that was never made an object holds no value.
        drop(slab.blank(Node::here(), Effort::All)?);
        let one = slab
            .blank(Node::here(), Effort::All)?
            .write(Tracked(7, dropped.clone()));
        let other = one.clone();
        drop(one);
        assert_eq!(other.0, 7);
        assert_eq!(dropped.load(Relaxed), 0);
        // The object keeps its cache.
        drop(slab);
        assert_eq!(other.0, 7);
        drop(other);
        assert_eq!(dropped.load(Relaxed), 1);
        Ok(())
    }

    #[test]
    fn a_reserve_gives_back_what_was_put_in() -> Result {
        let slab = Slab::<u64>::new(c"dm_remap_kunit")?;
        let mut reserve = Blanks::new();
        assert!(reserve.pop().is_none());
        let mut places = [0; 5];
        for place in &mut places {
            let object = slab.blank(Node::here(), Effort::All)?.into_raw();
            *place = object.addr().get();
            // SAFETY: It was just taken out.
            reserve.push(unsafe { Blank::from_raw(object) });
        }
        assert_eq!(reserve.len(), 5);
        // The last comes first, and holds what is written to it and no link.
        for place in [places[4], places[3]] {
            let number = reserve.pop().ok_or(ENOMEM)?.write(7);
            assert_eq!(number.as_ptr().addr().get(), place);
            assert_eq!(*number, 7);
        }
        reserve.truncate(9);
        assert_eq!(reserve.len(), 3);
        reserve.truncate(1);
        assert_eq!(reserve.len(), 1);
        reserve.push(slab.blank(Node::here(), Effort::All)?);
        // Its cache is freed behind the last blank: the kernel tells of blanks that are left.
        drop(slab);
        drop(reserve);
        Ok(())
    }

    #[test]
    fn objects_are_aligned_and_apart() -> Result {
        #[repr(align(64))]
        struct Wide(u8);
        let slab = Slab::new(c"dm_remap_kunit")?;
        let mut all = KVec::new();
        for value in 0..100 {
            all.push(
                slab.blank(Node::here(), Effort::All)?.write(Wide(value)),
                GFP_KERNEL,
            )?;
        }
        for (object, value) in all.iter().zip(0u8..) {
            assert_eq!(object.0, value);
            assert_eq!(core::ptr::from_ref::<Wide>(object).addr() % 64, 0);
        }
        Ok(())
    }
}

#[kunit_tests(dm_remap_unique)]
mod unique {
    use super::Tracked;
    use crate::{
        numa::Node,
        slab::{
            Effort,
            Slab, //
        },
        unique::{
            Slot,
            Unique,
            UniqueList,
            UniqueQueue, //
        }, //
    };
    use kernel::{
        prelude::*,
        sync::{
            atomic::{
                Atomic,
                Relaxed, //
            },
            Arc, //
        }, //
    };

    type Cache = Arc<Slab<Slot<Tracked>>>;

    fn object(cache: &Cache, number: u32, dropped: &Arc<Atomic<i32>>) -> Result<Unique<Tracked>> {
        let blank = cache.blank(Node::here(), Effort::All)?;
        Ok(Unique::new(blank, Tracked(number, dropped.clone())))
    }

    #[test]
    fn a_queue_gives_back_what_it_was_given_in_order() -> Result {
        let cache = Slab::new(c"dm_remap_kunit_unique")?;
        let dropped = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let queue = UniqueQueue::new();
        for number in 0..5 {
            queue.push(object(&cache, number, &dropped)?);
        }
        let (mut all, mut even) = (queue.take_all(), UniqueList::new());
        assert!(queue.is_empty());
        all.move_to(&mut even, |Tracked(number, _)| number % 2 == 0);
        assert!(all.by_ref().map(|object| object.0).eq([1, 3]));
        assert!(all.is_empty());
        assert!(even.by_ref().map(|object| object.0).eq([0, 2, 4]));
        assert_eq!(dropped.load(Relaxed), 5);
        Ok(())
    }

    #[test]
    fn what_is_left_in_a_queue_is_dropped_once() -> Result {
        let cache = Slab::new(c"dm_remap_kunit_unique")?;
        let dropped = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let queue = UniqueQueue::new();
        let mut list = UniqueList::new();
        for number in 0..3 {
            queue.push(object(&cache, number, &dropped)?);
            list.push(object(&cache, number, &dropped)?);
        }
        drop(queue);
        assert_eq!(dropped.load(Relaxed), 3);
        drop(list);
        assert_eq!(dropped.load(Relaxed), 6);
        Ok(())
    }

    #[test]
    fn memory_outlives_the_value() -> Result {
        let cache = Slab::new(c"dm_remap_kunit_unique")?;
        let dropped = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let mut first = object(&cache, 1, &dropped)?;
        first.0 += 1;
        assert_eq!(first.0, 2);
        let blank = first.into_blank();
        assert_eq!(dropped.load(Relaxed), 1);
        let second = Unique::new(blank, Tracked(3, dropped.clone()));
        assert_eq!(second.0, 3);
        drop(second);
        assert_eq!(dropped.load(Relaxed), 2);
        Ok(())
    }
}

#[kunit_tests(dm_remap_numa)]
mod numa {
    use crate::{
        numa::Node,
        slab::{
            Effort,
            Slab, //
        }, //
    };
    use kernel::prelude::*;

    #[test]
    fn memory_comes_from_its_node() -> Result {
        let slab = Slab::<u64>::new(c"dm_remap_kunit")?;
        let mut with_memory = 0;
        for node in Node::possible().filter(|node| node.has_memory()) {
            with_memory += 1;
            assert!(slab.blank(node, Effort::All)?.node() == node);
        }
        assert!(with_memory > 0);
        assert!(Node::possible().any(|node| node == Node::here()));
        Ok(())
    }
}

#[kunit_tests(dm_remap_workqueue)]
mod workqueue {
    use crate::workqueue::{
        DelayedItem,
        DelayedWork,
        ReclaimQueue,
        RunsOn, //
    };
    use kernel::{
        impl_has_work,
        new_work,
        prelude::*,
        static_lock_class,
        sync::{
            atomic::{
                Acquire,
                Atomic,
                Full,
                Relaxed,
                Release, //
            },
            Arc, //
        },
        time::{
            delay::fsleep,
            Delta, //
        },
        workqueue::{
            Work,
            WorkItem, //
        }, //
    };

    #[pin_data]
    struct Job {
        runs: Atomic<i32>,
        #[pin]
        work: Work<Job>,
    }

    impl_has_work! {
        impl HasWork<Self> for Job { self.work }
    }

    impl WorkItem for Job {
        type Pointer = Arc<Job>;

        fn run(this: Arc<Job>) {
            this.runs.fetch_add(1, Full);
        }
    }

    #[test]
    fn flush_waits_for_queued_work() -> Result {
        let queue = ReclaimQueue::new(c"dm_remap_kunit")?;
        let job = Arc::pin_init(
            pin_init!(Job {
                runs: Atomic::new(0),
                work <- new_work!("dm_remap_kunit"),
            }),
            GFP_KERNEL,
        )?;
        for runs in 1..20 {
            assert!(queue.enqueue(job.clone()).is_ok());
            queue.flush();
            assert_eq!(job.runs.load(Relaxed), runs);
        }
        Ok(())
    }

    /// Is done again soon, for ever; once somebody is about to close it, not before that has
    /// taken effect.
    struct Restless {
        runs: Arc<Atomic<i32>>,
        closing: Arc<Atomic<i32>>,
    }

    impl DelayedItem for Restless {
        fn run(&self) -> Option<u64> {
            self.runs.fetch_add(1, Full);
            if self.closing.load(Acquire) != 0 {
                // Whoever closes it has nothing left to do but to wait for us.
                fsleep(Delta::from_millis(20));
            }
            Some(1)
        }
    }

    fn begun(runs: &Atomic<i32>) -> bool {
        (0..1000).any(|_| {
            fsleep(Delta::from_millis(1));
            runs.load(Acquire) > 0
        })
    }

    #[test]
    fn what_arms_itself_again_ends_when_it_is_closed() -> Result {
        let queue = Arc::new(ReclaimQueue::new(c"dm_remap_kunit")?, GFP_KERNEL)?;
        for round in 0..20 {
            let runs = Arc::new(Atomic::new(0), GFP_KERNEL)?;
            let closing = Arc::new(Atomic::new(0), GFP_KERNEL)?;
            let on = match round % 2 {
                0 => RunsOn::Reclaim(queue.clone()),
                _ => RunsOn::System,
            };
            let item = Restless {
                runs: runs.clone(),
                closing: closing.clone(),
            };
            let name = c"dm_remap_kunit";
            let keys = [static_lock_class!(), static_lock_class!()];
            let work = DelayedWork::new(on, name, keys, item);
            let work = KBox::pin_init(work, GFP_KERNEL)?;
            work.arm(1);
            assert!(begun(&runs));
            closing.store(1, Release);
            work.close();
            let ran = runs.load(Relaxed);
            // Nobody can arm it any more, with a timer or without.
            work.arm(0);
            work.arm(1);
            fsleep(Delta::from_millis(50));
            queue.flush();
            assert_eq!(runs.load(Relaxed), ran);
        }
        Ok(())
    }

    #[test]
    fn what_is_dropped_is_not_done() -> Result {
        let queue = Arc::new(ReclaimQueue::new(c"dm_remap_kunit")?, GFP_KERNEL)?;
        let runs = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let item = Restless {
            runs: runs.clone(),
            closing: runs.clone(),
        };
        let name = c"dm_remap_kunit";
        let keys = [static_lock_class!(), static_lock_class!()];
        let work = DelayedWork::new(RunsOn::Reclaim(queue), name, keys, item);
        let work = KBox::pin_init(work, GFP_KERNEL)?;
        // It keeps its queue.
        work.arm(100_000);
        drop(work);
        assert_eq!(runs.load(Relaxed), 0);
        Ok(())
    }
}

#[kunit_tests(dm_remap_kthread)]
mod kthread {
    use crate::kthread::{
        Job,
        Kthread,
        Running, //
    };
    use kernel::{
        prelude::*,
        sync::{
            atomic::{
                Acquire,
                Atomic,
                Release, //
            },
            Arc, //
        },
        time::{
            delay::fsleep,
            Delta, //
        }, //
    };

    const BEGUN: i32 = 1;
    const GO_ON: i32 = 2;
    const DONE: i32 = 3;

    /// Begins, sleeps for so long or until it is woken, again until it may go on, and is done when
    /// it is dropped.
    struct Sleeper(Arc<Atomic<i32>>, u32);

    impl Job for Sleeper {
        fn run(self: KBox<Self>, running: &Running) {
            self.0.store(BEGUN, Release);
            while self.0.load(Acquire) != GO_ON {
                running.sleep(self.1);
            }
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            self.0.store(DONE, Release);
        }
    }

    /// Waits, some seconds at most.
    fn reaches(state: &Atomic<i32>, wanted: i32) -> bool {
        (0..1000).any(|_| {
            fsleep(Delta::from_millis(5));
            state.load(Acquire) == wanted
        })
    }

    #[test]
    fn a_thread_runs_is_woken_and_drops_its_job() -> Result {
        let state = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let job = KBox::new(Sleeper(state.clone(), 100_000), GFP_KERNEL)?;
        let thread = Kthread::start(c"dm_remap_kunit", job)?;
        assert!(reaches(&state, BEGUN));
        state.store(GO_ON, Release);
        thread.wake();
        assert!(reaches(&state, DONE));
        // One that has ended may be woken.
        thread.wake();
        Ok(())
    }

    /// Is woken before it sleeps.
    struct Late(Arc<Atomic<i32>>);

    impl Job for Late {
        fn run(self: KBox<Self>, running: &Running) {
            self.0.store(BEGUN, Release);
            if reaches(&self.0, GO_ON) {
                running.sleep(100_000);
                self.0.store(DONE, Release);
            }
        }
    }

    #[test]
    fn a_thread_that_was_woken_does_not_sleep() -> Result {
        let state = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let job = KBox::new(Late(state.clone()), GFP_KERNEL)?;
        let thread = Kthread::start(c"dm_remap_kunit", job)?;
        assert!(reaches(&state, BEGUN));
        thread.wake();
        state.store(GO_ON, Release);
        assert!(reaches(&state, DONE));
        Ok(())
    }

    #[test]
    fn a_thread_outlives_who_started_it() -> Result {
        let state = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let job = KBox::new(Sleeper(state.clone(), 10), GFP_KERNEL)?;
        let thread = Kthread::start(c"dm_remap_kunit", job)?;
        assert!(reaches(&state, BEGUN));
        drop(thread);
        assert_eq!(state.load(Acquire), BEGUN);
        state.store(GO_ON, Release);
        assert!(reaches(&state, DONE));
        Ok(())
    }
}

#[kunit_tests(dm_remap_bio)]
mod bio {
    use super::pinned;
    use crate::{
        bindings,
        bio::{
            BioSet,
            Buffer,
            Status,
            Transfer, //
        }, //
    };

    #[test]
    fn buffers_compare_what_is_asked_for() -> Result<(), kernel::error::Error> {
        let (mut a, mut b) = (Buffer::zeroed(1)?, Buffer::zeroed(8192)?);
        assert_eq!(a.bytes(), 4096);
        assert_eq!(b.bytes(), 8192);
        assert!(a.same(&mut b, 0..4096));
        assert!(!a.same(&mut b, 0..8192));
        assert!(Buffer::zeroed(usize::MAX).is_err());
        assert!(b.write(4096, &[1, 2, 3]));
        let mut back = [0u8; 4];
        assert!(b.read(4095, &mut [0]));
        assert!(b.read(4096, &mut back));
        assert!(back == [1, 2, 3, 0]);
        assert!(a.write(0, &[1]));
        assert!(!a.same(&mut b, 0..512));
        assert!(a.same(&mut b, 512..4096));
        // What crosses a page, or lies behind the last, is refused.
        assert!(!b.write(4095, &[1, 2]));
        assert!(!b.read(4095, &mut back));
        assert!(!b.write(8192, &[1]));
        assert!(!b.read(usize::MAX, &mut back));
        Ok(())
    }

    #[test]
    fn bio_sets_come_and_go() -> Result<(), kernel::error::Error> {
        for reserve in 0..4 {
            drop(pinned(BioSet::new(reserve))?);
            drop(pinned(BioSet::for_parts(reserve))?);
        }
        Ok(())
    }

    #[test]
    fn a_part_is_done_as_the_whole_was_asked_for() {
        let read = kernel::bindings::req_op_REQ_OP_READ;
        let kept =
            bindings::REQ_META | bindings::REQ_PRIO | bindings::REQ_IDLE | bindings::REQ_SWAP;
        let given_up = bindings::REQ_NOWAIT
            | bindings::REQ_RAHEAD
            | bindings::REQ_BACKGROUND
            | bindings::REQ_PREFLUSH
            | bindings::REQ_ATOMIC;
        let opf = Transfer::Read.opf_of_part(read | kept | given_up);
        assert_eq!(opf, read | kept | bindings::REQ_SYNC);
        let write = kernel::bindings::req_op_REQ_OP_WRITE;
        let opf = Transfer::WriteThrough.opf_of_part(write | kept | given_up);
        assert_eq!(opf, write | kept | bindings::REQ_SYNC | bindings::REQ_FUA);
        let opf = Transfer::Write.opf_of_part(write | bindings::REQ_FUA);
        assert_eq!(opf, write | bindings::REQ_SYNC | bindings::REQ_FUA);
    }

    #[test]
    fn only_ok_is_ok() {
        assert!(Status::OK.to_result() == Ok(()));
        for bad in [Status::MEDIUM, Status::IOERR, Status::TARGET, Status::AGAIN] {
            assert!(bad.to_result() == Err(bad));
        }
    }
}

#[kunit_tests(dm_remap_device_mapper)]
mod device_mapper {
    use super::Tracked;
    use crate::{
        bio::Status,
        device_mapper::{
            Args,
            Constructor,
            DeviceVisitor,
            MapBio,
            Mapped,
            NewError,
            Registration,
            StatusKind,
            Target,
            TargetType, //
        },
        text::Text, //
    };
    use kernel::{
        prelude::*,
        sync::{
            atomic::{
                Atomic,
                Relaxed, //
            },
            Arc, //
        }, //
    };

    /// A target that cannot be made.
    struct Nothing;

    #[vtable]
    impl Target for Nothing {
        const NAME: &'static CStr = c"dm_remap_kunit";
        const VERSION: [u32; 3] = [0, 0, 1];
        type Shared = Tracked;
        type PerBio = ();

        fn new(
            _: &mut Constructor<'_, Self::Shared>,
            _: Args<'_>,
        ) -> Result<Pin<KBox<Self>>, NewError> {
            Err(NewError::new(c"cannot be made", EINVAL))
        }

        fn map<'a>(&self, bio: MapBio<'a, ()>) -> Mapped<'a> {
            bio.complete(Status::IOERR)
        }

        fn status(&self, _: StatusKind, _: &mut Text<'_>) {}

        fn message(&self, _: Args<'_>, _: &mut Text<'_>) -> Result {
            Err(EINVAL)
        }

        fn iterate_devices(&self, _: &mut DeviceVisitor<'_>) {}
    }

    fn leaked() -> Result<&'static TargetType<Nothing>> {
        Ok(KBox::leak(KBox::new(TargetType::new(), GFP_KERNEL)?))
    }

    #[test]
    fn what_is_shared_goes_with_the_registration() -> Result {
        // SAFETY: Without a module, as if it were built in.
        static MODULE: ThisModule = unsafe { ThisModule::from_ptr(core::ptr::null_mut()) };
        let dropped = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let shared = || Arc::new(Tracked(7, dropped.clone()), GFP_KERNEL);
        let (one, other) = (leaked()?, leaked()?);
        let registered = Registration::new(&MODULE, one, shared()?)?;
        let found = one.shared_of_type().ok_or(ENOENT)?;
        assert_eq!(found.0, 7);
        // Neither again, nor another of that name.
        assert!(Registration::new(&MODULE, one, shared()?).is_err());
        assert_eq!(dropped.load(Relaxed), 1);
        assert!(Registration::new(&MODULE, other, shared()?).is_err());
        assert_eq!(dropped.load(Relaxed), 2);
        // A constructor that is under way has it as long as it wants, one that follows does not get
        // it.
        drop(registered);
        assert!(one.shared_of_type().is_none());
        assert_eq!(dropped.load(Relaxed), 2);
        drop(found);
        assert_eq!(dropped.load(Relaxed), 3);
        // What tables may still use is not written again.
        assert!(Registration::new(&MODULE, one, shared()?).is_err());
        Ok(())
    }
}

#[kunit_tests(dm_remap_crc32c)]
mod crc32c {
    use crate::crc32c::crc32c;

    /// The vectors that `src/core/metadata/block.rs` is tested with on the host.
    #[test]
    fn vectors() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let mut bytes = [0u8; 32];
        for (place, value) in bytes.iter_mut().zip(0u8..) {
            *place = value;
        }
        assert_eq!(crc32c(&bytes), 0x46dd_794e);
        bytes.reverse();
        assert_eq!(crc32c(&bytes), 0x113f_db5c);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
    }
}

#[kunit_tests(dm_remap_random)]
mod random {
    use crate::random::random_bytes;

    #[test]
    fn never_the_same_twice() {
        assert!(random_bytes::<16>() != random_bytes::<16>());
        assert!(random_bytes::<16>() != [0; 16]);
    }
}

#[kunit_tests(dm_remap_ratelimit)]
mod ratelimit {
    use crate::ratelimit::Ratelimit;
    use kernel::prelude::*;

    #[test]
    fn a_burst_and_no_more() -> Result {
        let limit = KBox::pin_init(Ratelimit::new(), GFP_KERNEL)?;
        let allowed = (0..100).filter(|_| limit.allows()).count();
        assert_eq!(allowed, 10);
        Ok(())
    }
}
