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
    """The flags with which Kbuild compiles the module's Rust code, as the last build recorded them."""
    built = module.build(flavour)
    command = (built / "src/core/.remap_core.o.cmd").read_text(encoding="utf-8").splitlines()[0]
    words = shlex.split(command.split(":=", 1)[1].split(";")[0])
    start = next(i for i, word in enumerate(words) if word.endswith("rustc")) + 1
    words = words[start:]
    dropped = ("--emit", "--out-dir", "--crate-type", "-Cembed-bitcode", "-L", "-Zcrate-attr")
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in ("--out-dir", "--crate-type", "-L", "--emit", "-o"):
            skip = True
        elif not word.startswith(dropped) and not word.endswith(".rs"):
            kept.append(word)
    return [word.replace("@./", f"@{kernel.build(flavour)}/") for word in kept]


def roots():
    """The crates' root files."""
    return {name: TOP / root for name, root, _ in CRATES}
