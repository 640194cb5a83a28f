// SPDX-License-Identifier: GPL-2.0

//! The published map and the I/O that is in flight, in every order of events that memory allows.

use kernel::prelude::*;
use lockfree::published::{
    Blank,
    Published, //
};
use loom::{
    cell::UnsafeCell,
    sync::Arc,
    thread, //
};
use std::pin::Pin;

/// A map, which is dropped when nobody reads it any more: loom complains if somebody does.
struct Map {
    gate: UnsafeCell<Gate>,
}

// SAFETY: What is in the cell is changed by its maker and by its drop only, which loom checks.
unsafe impl Send for Map {}
// SAFETY: As above.
unsafe impl Sync for Map {}

#[derive(Clone, Copy, PartialEq)]
enum Gate {
    Open,
    Busy,
    Gone,
}

impl Map {
    fn new(gate: Gate) -> Self {
        Self {
            gate: UnsafeCell::new(gate),
        }
    }

    fn gate(&self) -> Gate {
        // SAFETY: See `Map`.
        self.gate.with(|at| unsafe { *at })
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: See `Map`.
        self.gate.with_mut(|at| unsafe { *at = Gate::Gone });
    }
}

/// A device with a unit on it.
struct Device {
    map: Pin<KBox<Published<Map>>>,
    /// The unit's content.
    unit: UnsafeCell<u32>,
}

// SAFETY: The unit is used by who is in a section in which it is not busy, or by who made it busy: loom checks that.
unsafe impl Send for Device {}
// SAFETY: As above.
unsafe impl Sync for Device {}

impl Device {
    fn new() -> Arc<Self> {
        let Ok(map) = Published::new(Map::new(Gate::Open)) else {
            unreachable!("there is memory")
        };
        let Ok(map) = KBox::pin_init(map, GFP_KERNEL) else {
            unreachable!("there is memory")
        };
        Arc::new(Self {
            map,
            unit: UnsafeCell::new(0),
        })
    }

    fn publish(&self, gate: Gate) {
        let Ok(blank) = Blank::new(GFP_KERNEL) else {
            unreachable!("there is memory")
        };
        self.map.replace(blank, Map::new(gate));
    }

    /// A write that is mapped and ends.
    fn write(&self, value: u32) -> bool {
        let map = self.map.read();
        let gate = map.gate();
        assert!(gate != Gate::Gone);
        if gate == Gate::Busy {
            return false;
        }
        let held = map.hold();
        // SAFETY: See `Device`.
        self.unit.with_mut(|at| unsafe { *at = value });
        held.release();
        true
    }

    /// What who moves the unit reads: all writes that were let through, and none while it reads.
    fn copy(&self) -> u32 {
        self.publish(Gate::Busy);
        self.map.synchronize();
        // SAFETY: See `Device`.
        self.unit.with(|at| unsafe { *at })
    }
}

#[test]
fn a_map_is_not_freed_while_it_is_read() {
    loom::model(|| {
        let device = Device::new();
        let reader = {
            let device = device.clone();
            thread::spawn(move || {
                let map = device.map.read();
                assert!(map.gate() != Gate::Gone);
            })
        };
        device.publish(Gate::Busy);
        reader.join().unwrap();
    });
}

#[test]
fn a_write_is_copied_or_sees_that_the_unit_moves() {
    loom::model(|| {
        let device = Device::new();
        let writer = {
            let device = device.clone();
            thread::spawn(move || device.write(1))
        };
        let copied = device.copy();
        let written = writer.join().unwrap();
        assert_eq!(copied == 1, written);
    });
}
