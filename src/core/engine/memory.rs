// SPDX-License-Identifier: GPL-2.0

//! The memory of an engine, which its owner brings.

use crate::geometry::{
    SpareUnit,
    Unit, //
};
use crate::index::{
    Index,
    NodeAlloc, //
};
use crate::magazines::Magazine;
use core::ops::{
    Deref,
    DerefMut, //
};

/// Nodes for the map, of which some are kept in reserve.
pub trait NodePool: NodeAlloc {
    /// Whether the reserve covers so many updates of `map`.
    fn covers(&self, map: &Index<Self::Memory>, updates: usize) -> bool;

    /// Has the reserve grow so that it covers as many, as far as there is memory; whether it may get
    /// so large.
    fn want(&mut self, map: &Index<Self::Memory>, updates: usize) -> bool;
}

/// Which memory an engine uses.
pub trait Memory {
    /// Nodes of the map.
    type Nodes: NodePool;
    /// Bitmaps of spare units.
    type Words: DerefMut<Target = [u64]>;
    /// Magazines of spare units, one for each CPU.
    type Magazines: DerefMut<Target = [Magazine]>;
    /// Units.
    type Units: DerefMut<Target = [Unit]>;
    /// Claims of units.
    type Claims: DerefMut<Target = [super::claim::Claim]>;
    /// Spare units.
    type SpareUnits: DerefMut<Target = [SpareUnit]>;
    /// Changes of a group.
    type Changes: DerefMut<Target = [super::change::Change]>;
}

/// No room for one more item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Items in memory of a fixed size.
///
/// # Invariants
///
/// `len` is at most the length of `slots`.
#[derive(Debug)]
pub struct List<B> {
    slots: B,
    len: usize,
}

impl<T: Copy, B: DerefMut<Target = [T]>> List<B> {
    /// An empty list with as much room as `slots` has.
    pub const fn new(slots: B) -> Self {
        // INVARIANT: Nothing is in it.
        Self { slots, len: 0 }
    }

    /// How many more items fit.
    pub fn room(&self) -> usize {
        self.slots.len() - self.len
    }

    /// Adds an item behind the others.
    pub fn push(&mut self, item: T) -> Result<(), Full> {
        *self.slots.get_mut(self.len).ok_or(Full)? = item;
        // INVARIANT: The slot exists.
        self.len += 1;
        Ok(())
    }

    /// Takes the last item.
    pub fn pop(&mut self) -> Option<T> {
        let last = self.len.checked_sub(1)?;
        // INVARIANT: One less.
        self.len = last;
        self.slots.get(last).copied()
    }

    /// Takes out the item at `at`, in whose place the last one is then.
    pub fn swap_remove(&mut self, at: usize) -> Option<T> {
        let item = self.get(at).copied()?;
        let last = self.pop()?;
        if let Some(place) = self.slots.get_mut(at).filter(|_| at < self.len) {
            *place = last;
        }
        Some(item)
    }

    /// Takes out all items.
    pub fn clear(&mut self) {
        // INVARIANT: Nothing is in it.
        self.len = 0;
    }
}

impl<T, B: Deref<Target = [T]>> Deref for List<B> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.slots.get(..self.len).unwrap_or(&[])
    }
}

impl<T, B: DerefMut<Target = [T]>> DerefMut for List<B> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.slots.get_mut(..self.len).unwrap_or(&mut [])
    }
}
