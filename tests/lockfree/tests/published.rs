// SPDX-License-Identifier: GPL-2.0

//! The published map and the I/O in flight, in every order of events of the memory model.

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

/// A map, which is dropped after its last reader. loom reports a later access.
struct Map {
    gate: UnsafeCell<Gate>,
}

// SAFETY: Only the constructor and the destructor change the cell, which loom checks.
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
    /// The contents of the unit.
    unit: UnsafeCell<u32>,
}

// SAFETY: Only a thread in a section in which the unit is not busy, or the thread that made the
// unit busy, uses the unit, which loom checks.
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

    /// Maps and completes a write.
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

    /// Reads the unit for a relocation: after all writes that were mapped, and concurrently with
    /// none.
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
