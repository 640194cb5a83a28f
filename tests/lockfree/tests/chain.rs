// SPDX-License-Identifier: GPL-2.0

//! The queue between the I/O path and the workers, in every order of events of the memory model.

use lockfree::chain::{
    Chain,
    Linked, //
};
use loom::{
    cell::UnsafeCell,
    sync::{
        atomic::{
            fence,
            AtomicBool,
            Ordering, //
        },
        Arc,
        Mutex, //
    },
    thread, //
};
use std::ptr::{
    null_mut,
    NonNull, //
};

/// Represents a bio. loom reports unordered accesses to its fields.
struct Item {
    next: UnsafeCell<*mut Item>,
    content: UnsafeCell<u32>,
}

// SAFETY: The link is in the object, in a cell of its own.
unsafe impl Linked for Item {
    unsafe fn replace_next(object: NonNull<Self>, next: *mut Self) -> *mut Self {
        // SAFETY: By the contract of this function, the object is valid and its link is unused,
        // which loom checks.
        unsafe {
            object
                .as_ref()
                .next
                .with_mut(|at| std::mem::replace(&mut *at, next))
        }
    }
}

/// A chain that owns its items.
struct Queue(Chain<Item>);

// SAFETY: Items are transferred as a whole.
unsafe impl Send for Queue {}
// SAFETY: As above.
unsafe impl Sync for Queue {}

impl Queue {
    fn new() -> Self {
        Self(Chain::new())
    }

    fn push(&self, content: u32) {
        let item = Box::new(Item {
            next: UnsafeCell::new(null_mut()),
            content: UnsafeCell::new(0),
        });
        // SAFETY: The item is not shared yet.
        item.content.with_mut(|at| unsafe { *at = content });
        // SAFETY: The box is leaked until it is taken.
        unsafe { self.0.push(NonNull::from(Box::leak(item))) };
    }

    fn take_all(&self) -> Vec<u32> {
        let content = |item: NonNull<Item>| {
            // SAFETY: Each item is a leaked box that is returned once.
            let item = unsafe { Box::from_raw(item.as_ptr()) };
            // SAFETY: The item is owned here, which loom checks.
            item.content.with(|at| unsafe { *at })
        };
        self.0.take_all().map(content).collect()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.take_all();
    }
}

#[test]
fn each_item_is_taken_once_and_in_order() {
    loom::model(|| {
        let queue = Arc::new(Queue::new());
        let pushers: Vec<_> = [vec![1, 2], vec![3]]
            .into_iter()
            .map(|contents| {
                let queue = queue.clone();
                thread::spawn(move || contents.into_iter().for_each(|content| queue.push(content)))
            })
            .collect();
        let mut taken = queue.take_all();
        for pusher in pushers {
            pusher.join().unwrap();
        }
        taken.extend(queue.take_all());
        assert!(queue.0.is_empty());
        let place = |content| taken.iter().position(|one| *one == content).unwrap();
        assert_eq!(taken.len(), 3);
        assert!(place(1) < place(2) && place(3) < 3);
    });
}

#[test]
fn two_takers_share_what_there_is() {
    loom::model(|| {
        let queue = Arc::new(Queue::new());
        queue.push(1);
        let other = {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.push(2);
                queue.take_all()
            })
        };
        let mut taken = queue.take_all();
        taken.extend(other.join().unwrap());
        taken.extend(queue.take_all());
        taken.sort_unstable();
        assert_eq!(taken, [1, 2]);
    });
}

/// A lane of `src/executor/lane.rs`, with the guarantees of a workqueue: queueing sets a bit, and has no
/// effect if the bit is set. A run first clears the bit, with full barriers. There is a single run
/// at a time.
struct Lane {
    waiting: Queue,
    pending: AtomicBool,
    served: Mutex<Vec<u32>>,
}

impl Lane {
    fn hand_over(&self, content: u32) {
        self.waiting.push(content);
        fence(Ordering::SeqCst);
        if !self.pending.swap(true, Ordering::SeqCst) {
            self.run();
        }
    }

    fn run(&self) {
        let mut served = self.served.lock().unwrap();
        self.pending.swap(false, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        served.extend(self.waiting.take_all());
    }
}

#[test]
fn what_finds_the_work_queued_is_served_too() {
    loom::model(|| {
        let lane = Arc::new(Lane {
            waiting: Queue::new(),
            pending: AtomicBool::new(false),
            served: Mutex::new(Vec::new()),
        });
        let others: Vec<_> = [1, 2]
            .into_iter()
            .map(|content| {
                let lane = lane.clone();
                thread::spawn(move || lane.hand_over(content))
            })
            .collect();
        for other in others {
            other.join().unwrap();
        }
        let mut served = lane.served.lock().unwrap().clone();
        served.sort_unstable();
        assert_eq!(served, [1, 2]);
    });
}
