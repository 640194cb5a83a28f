// SPDX-License-Identifier: GPL-2.0

//! The instances that are alive.
//!
//! The map must outlive a table: when a device's table is replaced by one that says the same, the new
//! table takes the instance of the old one over, with everything that was relocated. Two instances
//! never stand on the same sectors, nor on two copies of the same array, since each would hide from the
//! other what it moved.

use crate::{
    caches::Caches,
    instance::{
        Instance,
        Layout, //
    },
    load::NotReady,
    scan::Wanted, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    }, //
};
use kernel_ext::{
    device_mapper::NewError,
    noio::NoIo, //
};
use remap_core::metadata::uuid::Uuid;

/// All instances, and how many tables use each.
#[pin_data]
pub(crate) struct Registry {
    caches: Arc<Caches>,
    #[pin]
    live: Mutex<KVec<Live>>,
}

struct Live {
    instance: Arc<Instance>,
    tables: usize,
    /// The array that it stands for, once that is known.
    array: Option<Uuid>,
}

/// A table's share in an instance.
pub(crate) struct Share {
    registry: Arc<Registry>,
    instance: Arc<Instance>,
}

impl Registry {
    pub(crate) fn new() -> Result<Arc<Self>> {
        let caches = Caches::new()?;
        Arc::pin_init(
            pin_init!(Self {
                caches,
                live <- new_mutex!(KVec::new(), "dm_remap::registry"),
            }),
            GFP_KERNEL,
        )
    }

    /// The instance for `layout`: that of the table to be replaced, or a new one.
    pub(crate) fn share(self: &Arc<Self>, layout: Layout) -> Result<Share, NewError> {
        let mut live = self.live.lock();
        if let Some(found) = live.iter_mut().find(|l| l.instance.layout().same(&layout)) {
            found.tables += 1;
            return Ok(self.handle(found.instance.clone()));
        }
        if let Some(found) = live.iter().find(|l| l.instance.layout().collides(&layout)) {
            return Err(NewError::new(
                if found.instance.layout().mapped_device == layout.mapped_device {
                    c"live table of this device lays out the same sectors differently"
                } else {
                    c"main or spare sectors are in use by another remap device"
                },
                EBUSY,
            ));
        }
        live.reserve(1, GFP_KERNEL)?;
        let instance = Instance::new(layout, &self.caches)?;
        live.push(
            Live {
                instance: instance.clone(),
                tables: 1,
                array: None,
            },
            GFP_KERNEL,
        )?;
        Ok(self.handle(instance))
    }

    fn handle(self: &Arc<Self>, instance: Arc<Instance>) -> Share {
        Share {
            registry: self.clone(),
            instance,
        }
    }

    /// Makes `instance` the one that stands for `array`, if no other does.
    fn claim(&self, instance: &Arc<Instance>, array: Uuid) -> Result<(), NotReady> {
        let mut live = self.live.lock();
        let is_own = |l: &Live| Arc::ptr_eq(&l.instance, instance);
        if live.iter().any(|l| l.array == Some(array) && !is_own(l)) {
            return Err(NotReady::Active(array));
        }
        if let Some(own) = live.iter_mut().find(|l| is_own(l)) {
            own.array = Some(array);
        }
        Ok(())
    }

    /// Gives one table's share back; the last one removes the instance.
    fn release(&self, instance: &Arc<Instance>) {
        let mut live = self.live.lock();
        if let Some(found) = live.iter_mut().find(|l| Arc::ptr_eq(&l.instance, instance)) {
            found.tables -= 1;
            if found.tables == 0 {
                instance.scan.halt(Wanted::Stopped);
            }
        }
        live.retain(|l| l.tables > 0);
    }
}

impl Share {
    /// Makes the instance ready for I/O, and says in the kernel log why if that fails. Sleeps.
    pub(crate) fn make_ready(&self, read_only: bool) -> Result {
        let claim = |array| self.registry.claim(&self.instance, array);
        let ready = NoIo::run(|| {
            let mut repair = self.instance.repair.lock();
            repair.make_ready(&self.instance, read_only, claim)
        });
        ready.map_err(|reason| {
            pr_err!("{}: refused: {}\n", self.instance.name(), reason);
            reason.error()
        })
    }
}

impl core::ops::Deref for Share {
    type Target = Arc<Instance>;

    #[inline]
    fn deref(&self) -> &Arc<Instance> {
        &self.instance
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.registry.release(&self.instance);
    }
}
