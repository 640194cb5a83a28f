# SPDX-License-Identifier: GPL-2.0
"""Plants bugs, one at a time, and runs the test that must see each. `T=` picks bugs by a part of their name.

A test that fails because the bug does not even compile, or a bug whose place is not found, is an error.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "scripts/dev"))

# pylint: disable=wrong-import-position
from cache import CACHE, say  # noqa: E402

# How often a test may miss a bug.
RUNS = 3
# A name, the file, what stands there, what is put in its place, and the test that must fail.
BUGS = [
    (
        "acknowledged_before_the_commit",
        "src/group.rs",
        "        if self.group.concerns(instance.geometry(), &bio) {",
        "        if bio.sectors().is_empty() && self.group.concerns(instance.geometry(), &bio) {",
        "crash.acknowledged",
    ),
    (
        "stale_main_is_read",
        "src/core/plan.rs",
        "        } if valid == geometry.whole_unit() => Step {\n            place: Place::Spare(spare),",
        "        } if valid == geometry.whole_unit() => Step {\n"
        "            place: match spare.0 % 8 {\n                7 if access == Access::Read => Place::Main,\n"
        "                _ => Place::Spare(spare),\n            },",
        "model.main_fails",
    ),
    (
        "the_filter_is_not_told",
        "src/nodes.rs",
        "            Some(home) => home.filter",
        "            Some(_) if unit.0 % 8 == 7 => Ok(()),\n            Some(home) => home.filter",
        "model.main_fails",
    ),
    (
        "another_node_is_not_told",
        "src/replicas.rs",
        "        self.map = map.set(&mut self.nodes, unit, entry).ok();",
        "        self.map = Some(map);",
        "memory.each_node_has_its_map",
    ),
    (
        "lost_blocks_are_zeroes",
        "src/relocate.rs",
        "                    Err(status) if bad_sector(status) => {}",
        "                    Err(status) if bad_sector(status) => {\n"
        "                        got = got.union(Blocks::range(block..block + 1));\n                    }",
        "model.main_fails",
    ),
    (
        "writes_in_flight_are_not_waited_for",
        "src/relocate.rs",
        "        self.publish(instance)?;\n        instance.maps.synchronize();\n",
        "        self.publish(instance)?;\n",
        "races.write_in_flight_is_not_lost",
    ),
    (
        "a_bad_spare_unit_is_believed",
        "src/relocate.rs",
        "                Ok(()) => return Ok(spare),",
        "                Ok(()) | Err(Status::IOERR) => return Ok(spare),",
        "model.both_fail",
    ),
    (
        "what_follows_a_bad_block_is_lost_too",
        "src/relocate.rs",
        "                    Err(status) if bad_sector(status) => {}",
        "                    Err(status) if bad_sector(status) => break,",
        "model.main_fails",
    ),
    (
        "the_scan_does_not_wait_for_memory",
        "src/instance.rs",
        " && !self.is_tripped() && !self.short.load(Acquire)",
        " && !self.is_tripped()",
        "scan.it_waits_while_memory_is_short",
    ),
    (
        "what_the_scan_finds_raises_no_event",
        "src/scanner.rs",
        "        repair.note_change();\n        drop(repair);\n",
        "        drop(repair);\n",
        "scan.a_weak_unit_stays_if_that_is_wanted",
    ),
    (
        "a_unit_that_was_read_after_some_tries_is_well",
        "src/scanner.rs",
        "                    Ok(()) => true,\n",
        "                    Ok(()) => false,\n",
        "scan.a_unit_that_is_read_after_some_tries_is_moved",
    ),
    (
        "a_retry_on_a_partition_goes_to_its_disk",
        "rust/bio.rs",
        "        unsafe { bindings::bio_set_dev(clone, device.as_ptr()) };",
        "        unsafe { bindings::bio_set_dev(clone, device.as_ptr()) };\n"
        "        // SAFETY: The clone is ours.\n"
        "        unsafe { (*clone).bi_flags |= 1 << kernel::bindings::BIO_REMAPPED };",
        "partitions.bad_sectors_fail",
    ),
    (
        "what_was_closed_can_be_armed",
        "rust/workqueue.rs",
        "disable_delayed_work_sync",
        "cancel_delayed_work_sync",
        "abstractions.suites",
    ),
]


def planted(bug, folder):
    """A copy of the tree with the bug."""
    _, file, before, after, _ = bug
    tree = folder / "tree"
    ignored = shutil.ignore_patterns(".git", "target", "__pycache__")
    shutil.copytree(TOP, tree, symlinks=True, ignore=ignored)
    text = (tree / file).read_text(encoding="utf-8")
    if text.count(before) != 1:
        sys.exit(f"dm-remap: {bug[0]}: {file} has its place {text.count(before)} times")
    (tree / file).write_text(text.replace(before, after), encoding="utf-8")
    return tree


def seen(bug):
    """Whether the bug's test fails, in one of a few runs since much is left to chance; and what it says."""
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        tree = planted(bug, pathlib.Path(folder))
        environment = {**os.environ, "T": bug[-1], "OPS": "3000"}
        command = [sys.executable, tree / "tests/run.py"]
        for _ in range(RUNS):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if "passed, " not in done.stdout:
                sys.exit(f"dm-remap: {bug[0]}: no test was run\n{done.stdout}{done.stderr}")
            lines = done.stdout.splitlines()
            said = [at for at, line in enumerate(lines) if line.startswith("# FAILED:")]
            if said:
                return True, "\n".join(lines[said[0] : said[0] + 3])
    return False, done.stdout


def main():
    """Plants all bugs that are wanted."""
    wanted = os.environ.get("T") or ""
    bugs = [bug for bug in BUGS if wanted in bug[0]]
    missed = 0
    print(f"KTAP version 1\n1..{len(bugs)}", flush=True)
    for number, bug in enumerate(bugs, 1):
        say(f"{bug[0]} in {bug[1]}, seen by {bug[-1]} ...")
        was_seen, text = seen(bug)
        missed += not was_seen
        print(text)
        print(f"{'ok' if was_seen else 'not ok'} {number} {bug[0]}", flush=True)
    print(f"{len(bugs) - missed} seen, {missed} missed", flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
