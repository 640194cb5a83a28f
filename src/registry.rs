// SPDX-License-Identifier: GPL-2.0

//! The instances that are alive.
//!
//! The map must outlive a table: when a device's table is replaced by one that says the same, the
//! new table takes the instance of the old one over, with everything that was relocated. Two
//! instances never stand on the same sectors, nor on two copies of the same array, since each would
//! hide from the other what it moved.

use crate::{
    caches::Caches,
    executor::pool::TaskCache,
    instance::Instance,
    layout::Layout,
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
use remap_core::metadata::array::Array;

/// All instances, and how many tables use each.
#[pin_data]
pub(crate) struct Registry {
    caches: Arc<Caches>,
    tasks: Arc<TaskCache>,
    #[pin]
    live: Mutex<KVec<Live>>,
}

struct Live {
    instance: Arc<Instance>,
    tables: usize,
    /// The array that it stands for, once that is known.
    array: Option<Array>,
}

impl Live {
    fn layout(&self) -> &Layout {
        self.instance.ctx.layout()
    }
}

/// A table's share in an instance.
pub(crate) struct Share {
    registry: Arc<Registry>,
    instance: Arc<Instance>,
}

impl Registry {
    pub(crate) fn new() -> Result<Arc<Self>> {
        let caches = Caches::new()?;
        let tasks = TaskCache::new(c"dm_remap_task")?;
        Arc::pin_init(
            pin_init!(Self {
                caches,
                tasks,
                live <- new_mutex!(KVec::new(), "dm_remap::registry"),
            }),
            GFP_KERNEL,
        )
    }

    /// The instance for `layout`: that of the table to be replaced, or a new one.
    pub(crate) fn share(self: &Arc<Self>, layout: Layout) -> Result<Share, NewError> {
        if let Some(found) = self.found(&layout)? {
            return Ok(self.handle(found));
        }
        // The lock is not held: this may wait for I/O to a device whose resume takes it.
        let new = Instance::new(layout, &self.caches, &self.tasks)?;
        let mut live = self.live.lock();
        if let Some(found) = Self::shared(&mut live, new.ctx.layout())? {
            return Ok(self.handle(found));
        }
        let own = Live {
            instance: new.clone(),
            tables: 1,
            array: None,
        };
        NoIo::run(|| live.push(own, GFP_KERNEL))?;
        Ok(self.handle(new.clone()))
    }

    fn found(&self, layout: &Layout) -> Result<Option<Arc<Instance>>, NewError> {
        Self::shared(&mut self.live.lock(), layout)
    }

    /// The instance of the table that one for `layout` is to replace, which one table more uses
    /// then; an error where its sectors are in use.
    fn shared(live: &mut [Live], layout: &Layout) -> Result<Option<Arc<Instance>>, NewError> {
        if let Some(found) = live
            .iter_mut()
            .find(|l| l.instance.ctx.layout().same(layout))
        {
            found.tables += 1;
            return Ok(Some(found.instance.clone()));
        }
        let collides = |l: &&Live| l.layout().collides(l.array.as_ref(), layout, None);
        match live.iter().find(collides) {
            None => Ok(None),
            Some(found) => Err(NewError::new(
                if found.layout().mapped_device == layout.mapped_device {
                    c"live table of this device lays out the same sectors differently"
                } else {
                    c"main or spare sectors are in use by another remap device"
                },
                EBUSY,
            )),
        }
    }

    fn handle(self: &Arc<Self>, instance: Arc<Instance>) -> Share {
        Share {
            registry: self.clone(),
            instance,
        }
    }

    /// Makes `instance` the one that stands for `array`, if no other does, and none uses the
    /// sectors of its copies of the metadata.
    fn claim(&self, instance: &Arc<Instance>, array: &Array) -> Result<(), NotReady> {
        let mut live = self.live.lock();
        let is_own = |l: &Live| Arc::ptr_eq(&l.instance, instance);
        let is_same = |l: &Live| l.array.is_some_and(|known| known.uuid == array.uuid);
        let own = instance.ctx.layout();
        let collides = |l: &Live| own.collides(Some(array), l.layout(), l.array.as_ref());
        for other in live.iter().filter(|l| !is_own(l)) {
            if is_same(other) {
                return Err(NotReady::Active(array.uuid));
            }
            if collides(other) {
                return Err(NotReady::CopiesInUse);
            }
        }
        if let Some(own) = live.iter_mut().find(|l| is_own(l)) {
            own.array = Some(*array);
        }
        Ok(())
    }

    /// Gives one table's share back; the last one removes the instance. Sleeps, but waits for no
    /// device.
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
        let claim = |array: &Array| self.registry.claim(&self.instance, array);
        let ready = self.instance.make_ready(read_only, claim);
        ready.map_err(|reason| {
            pr_err!("{}: refused: {}\n", self.instance.ctx.name(), reason);
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
