// SPDX-License-Identifier: GPL-2.0

//! Nodes of memory, and which CPUs are near them.
//!
//! C headers: [`include/linux/nodemask.h`](srctree/include/linux/nodemask.h),
//! [`include/linux/topology.h`](srctree/include/linux/topology.h).

use crate::bindings;

/// A node of memory, of CPUs, or of both.
///
/// # Invariants
///
/// It is the number of a node that the kernel told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node(i32);

impl Node {
    /// That of the CPU on which this runs, at that moment. Any context.
    #[inline]
    pub fn here() -> Self {
        // SAFETY: Reads a variable of this CPU.
        let id = unsafe { bindings::numa_node_id() };
        // SAFETY: The kernel told of it.
        unsafe { Self::of_id(id) }
    }

    /// All that may ever be online.
    pub fn possible() -> impl Iterator<Item = Self> {
        let mut last = -1;
        core::iter::from_fn(move || {
            // SAFETY: The function takes -1 and every node.
            last = unsafe { bindings::next_possible_node(last) };
            // SAFETY: The kernel told of it.
            (last >= 0).then(|| unsafe { Self::of_id(last) })
        })
    }

    /// # Safety
    ///
    /// `id` must be the number of a node that the kernel told of.
    #[inline]
    pub(crate) unsafe fn of_id(id: i32) -> Self {
        // INVARIANT: By the safety requirements.
        Self(id)
    }

    /// The number that the kernel gives it.
    pub fn id(self) -> i32 {
        self.0
    }

    /// The same, for a place in an array.
    #[inline]
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    /// Whether it has memory now. A node without memory, or one that is offline, has none.
    pub fn has_memory(self) -> bool {
        // SAFETY: By the type invariant it is a node.
        unsafe { bindings::node_has_memory(self.0) }
    }
}
