# SPDX-License-Identifier: GPL-2.0
"""What I/O costs in instructions of the guest, beside dm-linear in the same run, and whether that is little enough."""

import json
import os
import pathlib
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "scripts/dev"))

# pylint: disable=wrong-import-position
import guest as guests  # noqa: E402
import module  # noqa: E402
import vm  # noqa: E402
from cache import CACHE, say  # noqa: E402

COUNTS = os.environ.get("COUNTS") or "0 1000 100000 1000000"
HANDS = os.environ.get("HANDS") or "1000 10000 100000"
SECONDS = 3600


def output(cpus):
    """What the script prints in a guest whose instructions are counted."""
    shape = vm.Shape("bench", cpus, 6144, leaks=False, counted=True)
    built = module.build("bench")
    script = f"COUNTS='{COUNTS}' HANDS='{HANDS}'\n" + (TOP / "tests/bench/cost.sh").read_text(encoding="utf-8")
    printed = []

    def sink(data):
        printed.append(data)
        print(data.decode(errors="replace").replace("\r", ""), end="", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        payload = pathlib.Path(folder) / "payload.img"
        vm.payload_image(payload, [built / "dm_remap.ko"], "bench")
        machine = vm.started(shape, payload, guests.preface(1) + script.encode())
        try:
            status = guests.stream(machine, sink, seconds=SECONDS)
            if guests.verdict(machine, status):
                sys.exit("dm-remap: the benchmark failed")
        finally:
            machine.end()
    return b"".join(printed).decode(errors="replace").replace("\r", "")


if __name__ == "__main__":
    output(1)
