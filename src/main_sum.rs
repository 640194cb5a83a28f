// SPDX-License-Identifier: GPL-2.0

//! The checksum of what main holds where superblocks are, as it is on the device.

use crate::{
    context::Context,
    published_map::Map, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta, //
    }, //
};
use kernel_ext::{
    bio::{
        BioSet,
        Buffer,
        Transfer, //
    },
    block_device::BlockDevice,
    crc32c::crc32c,
    kthread::{
        Job,
        Kthread,
        Running, //
    },
    noio::NoIo, //
};
use remap_core::{
    geometry::Geometry,
    metadata::{
        block::{
            Block,
            BLOCK_BYTES, //
        },
        main_sum,
        storage::Failed, //
    }, //
};

/// How often a thread is asked for the checksum that it makes, and with how many milliseconds
/// between: some fifteen seconds, in which a disk spins up.
const LOOKS: u32 = 1500;
const BETWEEN_LOOKS: i64 = 10;

/// The checksum of main as it is, without the units that `map` relocates; `None` if a block cannot
/// be read. Sleeps, as long as main takes.
pub(crate) fn main_sum(ctx: &Context, map: &Map) -> Result<Option<u64>> {
    sum((&ctx.bios, ctx.main()), ctx.geometry(), map)
}

fn sum(
    (bios, main): (&BioSet, &BlockDevice),
    geometry: &Geometry,
    map: &Map,
) -> Result<Option<u64>> {
    let mut buffer = Buffer::zeroed(BLOCK_BYTES)?;
    let mut block = KBox::<Block>::init(pin_init::init_zeroed(), GFP_KERNEL)?;
    let read = |at: u64, block: &mut Block| {
        let done = bios.transfer(Transfer::Read, main, at, &mut buffer, 0..BLOCK_BYTES);
        done.map_err(|_| Failed)?;
        buffer.read(0, block).then_some(()).ok_or(Failed)
    };
    let sum = main_sum::main_sum((geometry, map), crc32c, &mut block, read);
    Ok(sum.ok())
}

/// The answer of a thread that makes a checksum, once it has one.
type Answer = Mutex<Option<Option<u64>>>;

/// What such a thread needs. It may outlive the instance, if main hangs.
struct Summing {
    answer: Arc<Answer>,
    bios: Pin<KBox<BioSet>>,
    main: BlockDevice,
    geometry: Geometry,
    map: Map,
}

impl Job for Summing {
    fn run(self: KBox<Self>, _running: &Running) {
        let sum = NoIo::run(|| self.durable_sum());
        // Whoever gets the answer may have main to itself.
        let answer = self.answer.clone();
        drop(self);
        *answer.lock() = Some(sum);
    }
}

impl Summing {
    fn durable_sum(&self) -> Option<u64> {
        self.bios.flush(&self.main).ok()?;
        let place = (&*self.bios, &self.main);
        sum(place, &self.geometry, &self.map).ok().flatten()
    }
}

/// The checksum of what is durable on main; `None` if it cannot be known. The device is being
/// removed, so that nobody writes to main. Sleeps, as long as main takes, but some seconds at most:
/// a thread waits for a disk that hangs, and has it open until then.
pub(crate) fn durable_main_sum(ctx: &Context, map: &Map) -> Option<u64> {
    let answer: Arc<Answer> =
        Arc::pin_init(new_mutex!(None, "dm_remap::main_sum"), GFP_KERNEL).ok()?;
    let job = Summing {
        answer: answer.clone(),
        bios: KBox::pin_init(BioSet::new(1), GFP_KERNEL).ok()?,
        main: ctx.main().again(),
        geometry: *ctx.geometry(),
        map: map.clone(),
    };
    Kthread::start(c"dm_remap_sum", KBox::new(job, GFP_KERNEL).ok()?).ok()?;
    for _ in 0..LOOKS {
        if let Some(sum) = *answer.lock() {
            return sum;
        }
        fsleep(Delta::from_millis(BETWEEN_LOOKS));
    }
    None
}
