# SPDX-License-Identifier: GPL-2.0
"""The cost of I/O in instructions of the guest, beside dm-linear in the same run, and its bars.

Prints tables and writes all figures to the file named by `JSON=`. `RUNS=` sets the number of runs.
With `--compare FILE`, fails if a figure exceeds the figure in that file by more than noise.
"""

import json
import os
import pathlib
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "scripts/dev"))

# pylint: disable=wrong-import-position
import locked  # noqa: E402
import measured  # noqa: E402
import module  # noqa: E402
import vm  # noqa: E402
from cache import CACHE, say  # noqa: E402

RUNS = int(os.environ.get("RUNS") or 2)
COUNTS = os.environ.get("COUNTS") or "0 1000 100000 1000000"
HANDS = os.environ.get("HANDS") or "1000 10000 100000"
JSON = os.environ.get("JSON") or CACHE / "bench.json"
# The allowed increase for another build of the same source, in instructions and as a fraction.
NOISE = 15
NOISE_PART = 0.005
# The maximum excess over dm-linear for 4 KiB: rows of a device, and instructions.
BARS = {
    "remap_0_far": 80,
    "remap_100000_far": 110,
    "remap_100000_miss": 110,
    "remap_1000000_far": 130,
    "remap_1000000_miss": 130,
    "remap_1000000_hit": 350,
}
# Other bars: a figure, its maximum, and its meaning.
OTHER_BARS = {
    "locked": (0, "locked instructions of the module on the path to main"),
    "part magazine_hit": (200, "instructions for a spare unit from the CPU's reserve"),
    "part magazine_refill": (3000, "instructions if the reserve is first refilled with 32"),
    "part misses_in_1000": (50, "requests of 1000 that find the reserve empty"),
    "part update_at_100000": (20_000, "instructions to change the three maps of 100,000 entries"),
    "memory target": (192 << 10, "bytes for a target without entries"),
    "memory entry_of_1000000": (32, "bytes for each of a million entries"),
    "load 1000000": (2_000_000, "microseconds of the guest to read a million entries"),
}
# The number of CPUs in the measurement with several CPUs, and the numbers of entries.
CPUS = 4
CPUS_COUNTS = "0 100000"


def output(cpus, counts, hands):
    """The output of the script in a guest that counts instructions."""
    script = f"COUNTS='{counts}' HANDS='{hands}'\n" + (TOP / "tests/bench/cost.sh").read_text(
        encoding="utf-8"
    )
    return measured.output(vm.Shape("bench", cpus, 6144, leaks=False, counted=True), script)


def figures(text):
    """The figures of a run: the device and the operation, and the minimum of instructions for an
    I/O."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["cost"] and len(words) == 9:
            found[" ".join(words[1:7])] = float(words[7])
        elif words[:1] in (["load"], ["module"], ["memory"], ["move"], ["part"]):
            found[" ".join(words[:-1])] = float(words[-1])
    return found


def is_of_several(key):
    """Whether the figure is a cost of I/O from several CPUs."""
    words = key.split()
    return len(words) == 6 and words[-1] != "1"


def beside(key, all_figures):
    """The figure of dm-linear for the same I/O: on the spare for relocated units, and with the same
    pieces across them."""
    device, _, what = key.partition(" ")
    parts = device.split("_")
    linear = {"hit": f"spare_{parts[1]}", "across": f"hand_{parts[1]}_across"} if parts[1:] else {}
    return all_figures.get(f"{linear.get(parts[-1], 'linear')} {what}")


def print_costs(least, spread):
    """Prints all costs, and their excess over dm-linear."""
    print(
        f"{'device':<20} {'operation':<24} {'instructions':>12} {'spread':>7} {'linear':>9}"
        f" {'excess':>9} {'ratio':>6}"
    )
    for key, cost in least.items():
        device, _, what = key.partition(" ")
        if " " not in what:
            continue
        linear = beside(key, least)
        more = f"{linear:>9.1f} {cost - linear:>9.1f} {cost / linear:>6.3f}" if linear else ""
        print(f"{device:<20} {what:<24} {cost:>12.1f} {spread[key]:>7.1f} {more}")


def print_bars(least):
    """Prints the bars, and by how much they are met or missed."""
    print("\nInstructions for 4 KiB in excess of dm-linear")
    for device, bar in BARS.items():
        for operation in ("read", "write"):
            key = f"{device} {operation} 4096 random 1 1"
            if key in least:
                more = least[key] - beside(key, least)
                verdict = "met" if more <= bar else f"MISSED by {more - bar:.0f}"
                print(f"{device:<20} {operation:<6} {more:>8.1f}   bar {bar:>4}   {verdict}")

    print("\nOther bars")
    for key, (bar, what) in OTHER_BARS.items():
        if key in least:
            verdict = "met" if least[key] <= bar else f"MISSED by {least[key] - bar:.0f}"
            print(f"{least[key]:>10.1f} {what:<64} bar {bar:>8}   {verdict}")


def regressions(least, base):
    """The figures that exceed those in `base`, with both values."""
    for key, cost in least.items():
        before = base.get(key)
        if before is not None and cost > before + max(NOISE, before * NOISE_PART):
            yield key, before, cost


def main(words):
    """Measures, prints, writes and compares."""
    if words and (len(words) != 2 or words[0] != "--compare"):
        sys.exit("usage: cost.py [--compare FILE]")
    runs = []
    for number in range(1, RUNS + 1):
        say(f"counting instructions, run {number} of {RUNS} (some minutes) ...")
        run = figures(output(1, COUNTS, HANDS))
        say(f"the same with {CPUS} CPUs ...")
        several = figures(output(CPUS, CPUS_COUNTS, ""))
        run["locked"] = len(locked.locked(module.build("bench") / "dm_remap.ko"))
        run.update({key: cost for key, cost in several.items() if is_of_several(key)})
        runs.append(run)
    least = {key: min(run[key] for run in runs) for key in runs[0]}
    spread = {key: max(run[key] for run in runs) - least[key] for key in least}
    print_costs(least, spread)
    print_bars(least)
    print("\nOther figures")
    for key, value in least.items():
        if len(key.split()) < 6:
            print(f"{key:<32} {value:>14.1f} spread {spread[key]:>12.1f}")
    pathlib.Path(JSON).write_text(
        json.dumps({"least": least, "spread": spread}, indent=1), encoding="utf-8"
    )
    say(f"all figures are in {JSON}")
    if words:
        worse = list(
            regressions(
                least, json.loads(pathlib.Path(words[1]).read_text(encoding="utf-8"))["least"]
            )
        )
        for key, before, cost in worse:
            print(f"WORSE {key}: {before:.1f} before, {cost:.1f} now")
        sys.exit(1 if worse else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
