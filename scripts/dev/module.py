# SPDX-License-Identifier: GPL-2.0
"""Builds the module for one of the guest kernels."""

import os
import subprocess
import sys

import kernel
from cache import CACHE, TOP, digest, locked


def output(flavour):
    """The build directory of this checkout's module for a kernel."""
    built = kernel.build(flavour)
    return CACHE / f"module-{digest(str(TOP))}-{built.name.removeprefix('kernel-')}"


def build(flavour, *words, quiet=True):
    """Builds the module, or the targets in `words`, and returns the directory with
    `dm_remap.ko`."""
    folder = output(flavour)
    with locked(folder.name):
        folder.mkdir(parents=True, exist_ok=True)
        if kernel.is_native(flavour):
            # Modules of User-Mode Linux have no global offset table.
            words += ("KRUSTFLAGS=-Zdirect-access-external-data=yes",)
        command = kernel.make(flavour, kernel.build(flavour), f"M={TOP}", f"MO={folder}", *words)
        done = subprocess.run(
            [str(word) for word in command],
            check=False,
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
        )
    if done.returncode:
        print(done.stdout or "", file=sys.stderr)
        sys.exit("dm-remap: the module does not build")
    return folder


if __name__ == "__main__":
    made = build(os.environ.get("KERNEL") or "debug", *sys.argv[1:], quiet=False)
    print(f"dm-remap: module: {made / 'dm_remap.ko'}")
