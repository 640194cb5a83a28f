# SPDX-License-Identifier: GPL-2.0
"""Runs a measurement script in a guest of its own."""

import pathlib
import sys
import tempfile

import guest as guests
import kernel
import module
import uml
import vm
from cache import CACHE

SECONDS = 3600


def output(shape, script, *words):
    """The output of the script in a guest of that shape; `words` are additional targets of
    Kbuild."""
    built = module.build(shape.flavour, *words)
    begin = uml.started if kernel.is_native(shape.flavour) else vm.started
    printed = []
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        payload = pathlib.Path(folder) / "payload.img"
        vm.payload_image(payload, built.glob("**/*.ko"), shape.flavour)
        machine = begin(shape, payload, guests.preface(1) + script.encode())
        try:
            status = guests.stream(machine, printed.append, seconds=SECONDS)
            text = b"".join(printed).decode(errors="replace").replace("\r", "")
            if guests.verdict(machine, status):
                sys.exit(f"dm-remap: the benchmark failed\n{text}")
        finally:
            machine.end()
    return text
