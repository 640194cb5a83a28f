// SPDX-License-Identifier: GPL-2.0

//! Writing commits and checkpoints to the regions, one phase of an update after the other.
//!
//! Whoever has the [`Writer`] writes; there is one. The lock of the engine is held to learn what is
//! to be written, and to say what became of it, but not while it is written.

use super::{
    machines::Machines,
    writer::{
        standing,
        Writer, //
    }, //
};
use crate::{
    context::Context,
    instance::Instance, //
};
use kernel::{
    impl_has_work,
    new_work,
    prelude::*,
    sync::Arc,
    workqueue::{
        Work,
        WorkItem, //
    }, //
};
use kernel_ext::crc32c::crc32c;
use remap_core::{
    metadata::storage::Region,
    region_layout::MAX_REGIONS, //
};

impl Machines {
    /// Takes note of what became of the writer's orders, and gives it the next. It is put back if
    /// there are none.
    fn next_orders(&mut self, ctx: &Context, mut writer: KBox<Writer>) -> Option<KBox<Writer>> {
        let Self { engine, .. } = self;
        for ((region, order), done) in Region::all().zip(&writer.orders).zip(writer.done) {
            if order.is_some() {
                engine.note(region, done);
            }
        }
        writer.orders = [None; MAX_REGIONS];
        loop {
            let own = &mut *writer;
            if let Some(orders) = engine.orders(&mut own.block) {
                own.orders = orders;
                let regions = Region::all().zip(orders).zip(&mut own.buffers);
                for ((region, order), buffer) in regions {
                    if let Some(order) = order {
                        engine.seal(region, order, &mut own.block, crc32c);
                        // A block fits its buffer.
                        let _ = buffer.write(0, &*own.block);
                    }
                }
                return Some(writer);
            }
            if !engine.wants_update() || !engine.begin_update(standing(ctx)) {
                self.writer = Some(writer);
                return None;
            }
        }
    }
}

impl Instance {
    /// Writes all updates that are wanted, unless somebody else does. Sleeps, as long as the
    /// devices take.
    pub(crate) fn write_updates(&self) {
        let mut writer = self.with_engine(|machines, _| machines.writer.take());
        while let Some(own) = writer.take() {
            writer = self.with_engine(|machines, ctx| machines.next_orders(ctx, own));
            if let Some(own) = &mut writer {
                own.carry_out(&self.ctx);
            }
        }
    }
}

/// The work that writes updates.
#[pin_data]
pub(crate) struct Committer {
    instance: Arc<Instance>,
    #[pin]
    work: Work<Committer>,
}

impl_has_work! {
    impl HasWork<Self> for Committer { self.work }
}

impl Committer {
    /// May sleep.
    pub(super) fn new(instance: Arc<Instance>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                instance,
                work <- new_work!("dm_remap::committer"),
            }),
            GFP_KERNEL,
        )
    }
}

impl WorkItem for Committer {
    type Pointer = Arc<Committer>;

    fn run(this: Arc<Committer>) {
        this.instance.write_updates();
    }
}
