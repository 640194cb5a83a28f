// SPDX-License-Identifier: GPL-2.0

//! A model of the guarantees of SRCU: a read section and a grace period are ordered as by full
//! barriers. The section either ends before the grace period ends, or sees all changes made before
//! the grace period began.

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

/// The number of open sections, and the callbacks that wait for a grace period.
pub struct srcu_struct {
    open: srcu_ctr,
    closing: Mutex<()>,
    closed: Condvar,
    callbacks: Vec<thread::JoinHandle<()>>,
}

/// The counter of open sections.
pub struct srcu_ctr(AtomicUsize);

/// Embedded in an object that is freed after a grace period.
pub struct callback_head;

/// Initialises a structure without sections.
pub unsafe fn init_srcu_struct_fast_updown(srcu: *mut srcu_struct) -> i32 {
    let open = srcu_ctr(AtomicUsize::new(0));
    let new = srcu_struct {
        open,
        closing: Mutex::new(()),
        closed: Condvar::new(),
        callbacks: Vec::new(),
    };
    // SAFETY: The caller provides the memory.
    unsafe { srcu.write(new) };
    0
}

/// Opens a section.
pub unsafe fn srcu_down_read_fast(srcu: *mut srcu_struct) -> *mut srcu_ctr {
    // SAFETY: The caller's structure is initialised.
    let open = unsafe { &raw mut (*srcu).open };
    // SAFETY: As above.
    unsafe { &*open }.0.fetch_add(1, Relaxed);
    fence(SeqCst);
    open
}

/// Closes a section.
pub unsafe fn srcu_up_read_fast(srcu: *mut srcu_struct, open: *mut srcu_ctr) {
    // SAFETY: The caller's structure is initialised.
    let (closing, closed) = unsafe { (&(*srcu).closing, &(*srcu).closed) };
    let guard = closing.lock().unwrap();
    fence(SeqCst);
    // SAFETY: The pointer comes from `srcu_down_read_fast`.
    unsafe { &*open }.0.fetch_sub(1, Relaxed);
    closed.notify_all();
    drop(guard);
}

/// Waits for a grace period.
pub unsafe fn synchronize_srcu_expedited(srcu: *mut srcu_struct) {
    fence(SeqCst);
    // SAFETY: The caller's structure is initialised.
    let (open, closing, closed) = unsafe { (&(*srcu).open.0, &(*srcu).closing, &(*srcu).closed) };
    let mut guard = closing.lock().unwrap();
    while open.load(Relaxed) != 0 {
        guard = closed.wait(guard).unwrap();
    }
    drop(guard);
    fence(SeqCst);
}

/// Calls `free` after a grace period, on a thread of its own. The model has a single updater at a
/// time.
pub unsafe fn call_srcu(
    srcu: *mut srcu_struct,
    head: *mut callback_head,
    free: Option<unsafe extern "C" fn(*mut callback_head)>,
) {
    let (whole, head) = (srcu as usize, head as usize);
    let later = thread::spawn(move || {
        // SAFETY: The caller's structure is initialised, and lives until `srcu_barrier`; `head`
        // belongs to `free`.
        unsafe {
            synchronize_srcu_expedited(whole as *mut srcu_struct);
            free.unwrap()(head as *mut callback_head);
        }
    });
    // SAFETY: The model has a single updater.
    unsafe { &mut (*srcu).callbacks }.push(later);
}

/// Waits for all callbacks.
pub unsafe fn srcu_barrier(srcu: *mut srcu_struct) {
    // SAFETY: The model has a single updater.
    for later in unsafe { &mut (*srcu).callbacks }.drain(..) {
        later.join().unwrap();
    }
}

/// Frees the members of the structure.
pub unsafe fn cleanup_srcu_struct(srcu: *mut srcu_struct) {
    // SAFETY: The caller does not use the structure again.
    unsafe { srcu.drop_in_place() };
}
