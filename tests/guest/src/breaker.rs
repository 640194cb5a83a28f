// SPDX-License-Identifier: GPL-2.0

//! A disk that fails as a whole is no reason to use up the spare, nor to give up what is on it.

crate::tests![];
