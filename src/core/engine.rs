// SPDX-License-Identifier: GPL-2.0

//! The engine: the decisions of the error path.
//!
//! A bio that failed, or that met a unit with a special entry in the map, becomes a
//! [`Request`](request::Request). A request is a state machine: it is told an event and answers
//! with the action that it needs next. All machines share one [`Engine`], which has the map, the
//! spare units, the breaker and the metadata. The engine does no I/O and waits for nothing. Its
//! owner does the I/O, sleeps, and calls the machines again. The same code therefore runs in the
//! module, where a lock is held for the time of one call, and in a simulation, which tries every
//! order of events.
//!
//! A machine *claims* a unit before it moves it or makes lost blocks of it valid. Other machines
//! that need to change the unit wait. The claim ends with the commit that makes the change durable,
//! so the published map holds the committed state and nothing else. Changes that are not committed
//! stand in two *groups*: one is gathered while the commit of the other is written.

pub mod activate;
pub mod change;
pub mod claim;
pub mod commit;
pub mod finding;
pub mod group;
pub mod memory;
mod no_spare;
pub mod notice;
pub mod obstacle;
pub mod probe;
mod probes;
mod queue;
pub mod relocation;
pub mod request;
mod state;
pub mod task;
mod totals;
pub mod unrelocation;
mod writer;

pub use self::state::{
    Engine,
    Map,
    Parts,
    Publication,
    Wakes, //
};
