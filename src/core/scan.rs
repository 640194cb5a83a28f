// SPDX-License-Identifier: GPL-2.0

//! Looking for units that fail before they are asked for: in which order, how fast, and what counts
//! as weak.

pub mod away;
pub mod doubts;
pub mod health;
pub mod judge;
pub mod pace;
pub mod planner;
pub mod retest;
#[cfg(test)]
mod simulation;
pub mod tries;
pub mod weak;
