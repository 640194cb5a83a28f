# SPDX-License-Identifier: GPL-2.0
"""The cost of a bio in nanoseconds, beside dm-linear in the same run, in User-Mode Linux, where
caches and memory have their real latency.

Prints each cost with its median, minimum and maximum over all repetitions, its ratio to dm-linear,
and the instructions in tests/bench/baseline.json for the same operation. `RUNS=` sets the number of
guests, `REPETITIONS=` the number of measurements in each, `COUNTS=` the numbers of entries.
"""

import collections
import json
import os
import pathlib
import statistics
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "scripts/dev"))

# pylint: disable=wrong-import-position
import measured  # noqa: E402
import vm  # noqa: E402
from cache import say  # noqa: E402

RUNS = int(os.environ.get("RUNS") or 3)
REPETITIONS = int(os.environ.get("REPETITIONS") or 9)
COUNTS = os.environ.get("COUNTS") or "0 100000 1000000"
BASELINE = TOP / "tests/bench/baseline.json"
CPUS = 2
MEMORY = 1536


def samples(text):
    """The output of the script: nanoseconds of each cost, and milliseconds of each load."""
    found = collections.defaultdict(list)
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["cost"]:
            found[" ".join(words[1:-1])].append(int(words[-1]) / 1000)
        elif words[:1] == ["load"]:
            found[" ".join(words[:-1])].append(int(words[-1]) / 1000)
    return found


def linear_for(key):
    """The key of dm-linear's cost for the same operation, on the spare for relocated units."""
    device, _, what = key.partition(" ")
    kind, *rest = device.split("_")
    if kind in ("raw", "linear", "spare"):
        return None
    if kind == "remap" and rest[-1] in ("hit", "hits"):
        return f"spare_{rest[0]}{'_all' if rest[-1] == 'hits' else ''} {what}"
    return f"linear_far {what}"


def counted(key, counts):
    """The counted instructions for the same operation, if any. The keys of cost.py omit `far`."""
    device, _, what = key.partition(" ")
    return counts.get(key) or counts.get(f"{device.removesuffix('_far')} {what}")


def spread(row):
    """The median, the minimum and the maximum of all repetitions."""
    return f"{statistics.median(row):8.1f} {min(row):8.1f} {max(row):8.1f}"


def beside(key, found, counts):
    """The ratio to dm-linear's cost, the instructions, and their excess over dm-linear."""
    linear, ours = linear_for(key), counted(key, counts)
    ratio = more = ""
    if linear in found:
        ratio = f"{statistics.median(found[key]) / statistics.median(found[linear]):.3f}"
        theirs = counted(linear, counts)
        more = f"{ours - theirs:.0f}" if ours and theirs else ""
    return f"{ratio:>6} {f'{ours:.0f}' if ours else '':>12} {more:>5}"


def print_costs(found, counts):
    """Prints all costs, one kind of I/O after another."""
    by_kind = collections.defaultdict(list)
    for key in found:
        if not key.startswith("load "):
            by_kind[key.partition(" ")[2]].append(key)
    for what, keys in by_kind.items():
        operation, size, order, depth, cpus = what.split()
        print(f"\n{operation} of {size} bytes, {order}, depth {depth}, CPUs {cpus}")
        print(f"{'device':<22} {'ns':>8} {'minimum':>8} {'maximum':>8}  ratio instructions excess")
        for key in keys:
            print(f"{key.partition(' ')[0]:<22} {spread(found[key])} {beside(key, found, counts)}")


def print_loads(found):
    """Prints the duration of table loads."""
    print(f"\n{'load of':<22} {'ms':>8} {'minimum':>8} {'maximum':>8}")
    for key, row in found.items():
        if key.startswith("load "):
            print(f"{key.removeprefix('load '):<22} {spread(row)}")


def main():
    """Measures and prints."""
    script = f"COUNTS='{COUNTS}' REPETITIONS={REPETITIONS}\n"
    script += (TOP / "tests/bench/native.sh").read_text(encoding="utf-8")
    text = ""
    for number in range(1, RUNS + 1):
        say(f"measuring nanoseconds, run {number} of {RUNS} ...")
        text += measured.output(vm.Shape("uml-bench", CPUS, MEMORY), script, "BENCH=m")
    found = samples(text)
    counts = json.loads(BASELINE.read_text(encoding="utf-8"))["least"]
    print_costs(found, counts)
    print_loads(found)


if __name__ == "__main__":
    main()
