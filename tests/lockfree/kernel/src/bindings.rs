// SPDX-License-Identifier: GPL-2.0

//! What SRCU promises, as a model: a section is ordered with a grace period as by full barriers, and either
//! has ended before the grace period ends or sees all that was done before it began.

#![allow(non_camel_case_types)]
#![allow(clippy::missing_safety_doc)]

use loom::{
    sync::{
        atomic::{
            fence,
            AtomicUsize,
            Ordering::{
                Relaxed,
                SeqCst, //
            }, //
        },
        Condvar,
        Mutex, //
    },
    thread, //
};

/// How many sections are open, and what waits for a grace period.
pub struct srcu_struct {
    open: srcu_ctr,
    closing: Mutex<()>,
    closed: Condvar,
    callbacks: Vec<thread::JoinHandle<()>>,
}

/// Where they are counted.
pub struct srcu_ctr(AtomicUsize);

/// What is embedded in something that is freed after a grace period.
pub struct callback_head;

/// Makes one without sections.
pub unsafe fn init_srcu_struct_fast_updown(srcu: *mut srcu_struct) -> i32 {
    let open = srcu_ctr(AtomicUsize::new(0));
    let new = srcu_struct {
        open,
        closing: Mutex::new(()),
        closed: Condvar::new(),
        callbacks: Vec::new(),
    };
    // SAFETY: The caller gives memory for one.
    unsafe { srcu.write(new) };
    0
}

/// Begins a section.
pub unsafe fn srcu_down_read_fast(srcu: *mut srcu_struct) -> *mut srcu_ctr {
    // SAFETY: The caller's is initialised.
    let open = unsafe { &raw mut (*srcu).open };
    // SAFETY: As above.
    unsafe { &*open }.0.fetch_add(1, Relaxed);
    fence(SeqCst);
    open
}

/// Ends a section.
pub unsafe fn srcu_up_read_fast(srcu: *mut srcu_struct, open: *mut srcu_ctr) {
    // SAFETY: The caller's is initialised.
    let (closing, closed) = unsafe { (&(*srcu).closing, &(*srcu).closed) };
    let guard = closing.lock().unwrap();
    fence(SeqCst);
    // SAFETY: The caller has it from `srcu_down_read_fast`.
    unsafe { &*open }.0.fetch_sub(1, Relaxed);
    closed.notify_all();
    drop(guard);
}

/// Waits for a grace period.
pub unsafe fn synchronize_srcu_expedited(srcu: *mut srcu_struct) {
    fence(SeqCst);
    // SAFETY: The caller's is initialised.
    let (open, closing, closed) = unsafe { (&(*srcu).open.0, &(*srcu).closing, &(*srcu).closed) };
    let mut guard = closing.lock().unwrap();
    while open.load(Relaxed) != 0 {
        guard = closed.wait(guard).unwrap();
    }
    drop(guard);
    fence(SeqCst);
}

/// Calls `free` after a grace period, on a thread of its own. This model has one updater at a time.
pub unsafe fn call_srcu(
    srcu: *mut srcu_struct,
    head: *mut callback_head,
    free: Option<unsafe extern "C" fn(*mut callback_head)>,
) {
    let (whole, head) = (srcu as usize, head as usize);
    let later = thread::spawn(move || {
        // SAFETY: The caller's is initialised, and lives until `srcu_barrier`; `head` is for `free`.
        unsafe {
            synchronize_srcu_expedited(whole as *mut srcu_struct);
            free.unwrap()(head as *mut callback_head);
        }
    });
    // SAFETY: Nobody else updates it.
    unsafe { &mut (*srcu).callbacks }.push(later);
}

/// Waits for callbacks.
pub unsafe fn srcu_barrier(srcu: *mut srcu_struct) {
    // SAFETY: Nobody else updates it.
    for later in unsafe { &mut (*srcu).callbacks }.drain(..) {
        later.join().unwrap();
    }
}

/// Frees what belongs to it.
pub unsafe fn cleanup_srcu_struct(srcu: *mut srcu_struct) {
    // SAFETY: The caller does not use it again.
    unsafe { srcu.drop_in_place() };
}
