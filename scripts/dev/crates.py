# SPDX-License-Identifier: GPL-2.0
"""The module's crates, as rustdoc and rust-analyzer need to know them."""

import shlex

import kernel
import module
from cache import TOP

# A crate's name, its root, and those of ours it uses; what is used comes first.
CRATES = [
    ("remap_core", "src/core/remap_core.rs", []),
    ("kernel_ext", "rust/kernel_ext.rs", []),
    ("remap", "src/remap.rs", ["remap_core", "kernel_ext"]),
]


def rustc_flags(flavour):
    """The flags with which Kbuild compiles the module's Rust code, as the last build recorded them.

    What says which crate and where to is left out.
    """
    record = module.build(flavour) / "src/core/.remap_core.o.cmd"
    command = record.read_text(encoding="utf-8").splitlines()[0].split("; ")[0]
    words = iter(shlex.split(command))
    next(word for word in words if word.endswith("rustc"))
    kept = []
    for word in words:
        if word in ("--out-dir", "--crate-type"):
            next(words)
        elif not word.startswith("--emit") and not word.endswith(".rs"):
            kept.append(word)
    return kept
