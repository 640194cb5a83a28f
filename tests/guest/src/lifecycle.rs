// SPDX-License-Identifier: GPL-2.0

//! Suspend, resume, reload, removal, and the module's own life.

crate::tests![];
