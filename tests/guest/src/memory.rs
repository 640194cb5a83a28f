// SPDX-License-Identifier: GPL-2.0

//! What is served from where: NUMA nodes, the spare units put aside for each CPU, and what happens without memory.

crate::tests![];
