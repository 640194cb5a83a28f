# SPDX-License-Identifier: GPL-2.0
"""The crates of the module, for rustdoc and rust-analyzer."""

import shlex

import kernel
import module
from cache import TOP

# The name of a crate, its root, and the project's crates that it uses, in order of dependency.
CRATES = [
    ("remap_core", "src/core/remap_core.rs", []),
    ("kernel_ext", "rust/kernel_ext.rs", []),
    ("remap", "src/remap.rs", ["remap_core", "kernel_ext"]),
]


def rustc_flags(flavour):
    """Kbuild's flags for the module's Rust code, as recorded by the last build.

    The flags for the crate and the output are left out.
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
