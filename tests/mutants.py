# SPDX-License-Identifier: GPL-2.0
"""Plants bugs, one at a time, and runs the test that must detect each. `T=` selects bugs by a part
of their name.

A bug that does not compile, or whose original text is not found, is an error.
"""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "scripts/dev"))

# pylint: disable=wrong-import-position
import clean  # noqa: E402
from cache import CACHE, digest, say  # noqa: E402

# The output of a failed test: a guest test with an error or an assertion, or a host test.
FAILED = r"# (FAILED:|the kernel complains:|thread '.*' .*panicked at |test \S+ \.\.\. FAILED$)"
# The number of runs of a test, because some bugs show only by chance.
RUNS = 3
# The name of a bug, the file, the original text, its replacement, and the test that must fail.
BUGS = [
    (
        "acknowledged_before_the_commit",
        "src/core/engine/request.rs",
        "                Action::Wait(Key::Commit(self.group))",
        "                self.end(engine, Status::Ok)",
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
        "src/core/replica.rs",
        "            *map = map.set(nodes, unit, entry)?;",
        "            map.set(nodes, unit, entry)?;",
        "memory.each_node_has_its_map",
    ),
    (
        "memory_is_waited_for_under_the_lock",
        "src/executor/machines.rs",
        "        let _ = self.engine.nodes.fill(Effort::Now);",
        "        let _ = self.engine.nodes.fill(Effort::All);",
        "breaker.rearm",
    ),
    (
        "main_that_was_changed_is_taken",
        "src/load.rs",
        "        Some(now) if now != before => Err(NotReady::MainChanged),",
        "        Some(now) if now < before && before == 0 => Err(NotReady::MainChanged),",
        "adopt.main_that",
    ),
    (
        "a_suspend_remembers_a_checksum",
        "src/instance.rs",
        "            self.with_engine(|machines, _| machines.is_put_away = is_durable);",
        "            self.with_engine(|machines, _| machines.is_put_away = is_durable);\n"
        "            self.put_away();",
        "metadata.a_suspend_remembers",
    ),
    (
        "a_table_becomes_writable_with_a_checksum",
        "src/load.rs",
        "if was_ready && !self.has_main_sum =>",
        "if was_ready =>",
        "metadata.a_table_that_becomes_writable",
    ),
    (
        "main_that_has_all_data_is_compared",
        "src/instance.rs",
        "machines.is_put_away && machines.engine.relocated() > 0",
        "machines.is_put_away",
        "adopt.main_of_an_array_without_relocations",
    ),
    (
        "main_is_not_summed_at_its_beginning",
        "src/core/metadata/main_sum.rs",
        "[0..64, 256..273,",
        "[0..0, 256..273,",
        "host.metadata.main_sum",
    ),
    (
        "lost_blocks_are_zeroes",
        "src/core/engine/relocation/source.rs",
        "is_bad_sector(status) => self.failing = self.failing.union(blocks),",
        "is_bad_sector(status) => self.got = self.got.union(blocks),",
        "model.main_fails",
    ),
    (
        "writes_in_flight_are_not_waited_for",
        "src/executor/quiesce.rs",
        "            this.instance.ctx.lookup.maps.synchronize();\n",
        "",
        "races.write_in_flight_is_not_lost",
    ),
    (
        "a_bad_spare_unit_is_believed",
        "src/core/engine/relocation/spare.rs",
        "            Ok(()) => return self.write(engine, part + 1),",
        "            Ok(()) | Err(Status::IoErr) => return self.write(engine, part + 1),",
        "model.both_fail",
    ),
    (
        "what_follows_a_bad_block_is_lost_too",
        "src/core/engine/relocation/source.rs",
        "is_bad_sector(status) => self.failing = self.failing.union(blocks),",
        "is_bad_sector(status) => self.failing = left,",
        "model.main_fails",
    ),
    (
        "the_scan_does_not_wait_for_memory",
        "src/context.rs",
        " && !self.is_tripped() && !self.short.load(Acquire)",
        " && !self.is_tripped()",
        "scan.it_waits_while_memory_is_short",
    ),
    (
        "what_the_scan_finds_raises_no_event",
        "src/scrub_host.rs",
        "        self.note_change();\n        if moved",
        "        if moved",
        "scan.a_weak_unit_stays_if_that_is_wanted",
    ),
    (
        "a_unit_that_was_read_after_some_tries_is_well",
        "src/scanner.rs",
        "            Ok(()) if is_mediums || main_works && failed >= BELIEVED => self.weak(unit),",
        "            Ok(()) if !main_works && failed >= BELIEVED => self.weak(unit),",
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
    (
        "a_failed_commit_is_acknowledged",
        "src/core/engine/request.rs",
        "            Some(Err(CommitUnknown)) => self.end(engine, Status::IoErr),",
        "            Some(Err(CommitUnknown)) => self.end(engine, Status::Ok),",
        "metadata.a_failed_commit_fails_the_request",
    ),
    (
        "what_a_disk_that_is_away_has_is_given_up",
        "src/core/engine/relocation/source.rs",
        "        if !works {\n",
        "        if !works && self.from.spare().is_some() {\n",
        "breaker.main_goes_while_a_unit_is_merged",
    ),
    (
        "blocks_are_given_up_without_a_word",
        "src/core/engine/relocation.rs",
        "            Self::Message { is_lossy } => is_lossy,",
        "            Self::Message { is_lossy } => is_lossy || !is_lossy,",
        "errors.lost_block_is_not_zeroes",
    ),
    (
        "what_takes_no_spare_unit_counts",
        "src/core/engine/relocation.rs",
        "        let Some(spare) = engine.take_spare(",
        "        engine.breaker.count(self.now, 1);\n"
        "        let Some(spare) = engine.take_spare(",
        "errors.writes_that_find_no_spare_unit",
    ),
    (
        "a_day_has_no_budget",
        "src/core/breaker.rs",
        "left.day.is_some_and(|(_, left)| left == 0)",
        "left.day.is_some_and(|(units, left)| left > units)",
        "breaker.the_budget_of_a_day",
    ),
    (
        "an_outage_makes_suspects",
        "src/core/engine/request/failed.rs",
        "            Some(false) => self.end(engine, status),\n"
        "            Some(true) => {\n"
        "                let unit",
        "            Some(_) => {\n                let _ = status;\n                let unit",
        "breaker.a_read_outage_makes_no_suspects",
    ),
    (
        "zeroes_that_a_disk_does_not_know_are_repaired",
        "src/core/classify.rs",
        "    (Status::Target,             [Confirm, Pass,  Confirm, Pass,    Pass, Pass]),",
        "    (Status::Target,             [Confirm, Pass,  Confirm, Confirm, Pass, Pass]),",
        "errors.write_zeroes_that_the_disk_does_not_know",
    ),
    (
        "a_read_only_table_commits",
        "src/load.rs",
        "machines.engine.set_writable(!read_only);",
        "machines.engine.set_writable(true);",
        "metadata.a_read_only_table_with_metadata_on_main",
    ),
    (
        "a_refused_activation_is_remembered",
        "src/load.rs",
        "                self.unload(ctx);\n",
        "                if false {\n                    self.unload(ctx);\n                }\n",
        "metadata.a_refused_activation_is_refused_again",
    ),
    (
        "copies_on_main_belong_to_nobody",
        "src/layout.rs",
        "        let has_copies = array.is_some_and(Array::on_main);",
        "        let has_copies = array.is_some_and(|array| array.on_main() && array.main_sectors == 0);",
        "metadata.copies_on_main_are_in_use",
    ),
    (
        "a_blank_spare_hides_main",
        "src/core/metadata/survey.rs",
        "            Ok(true) => Refused::SpareStale,\n",
        "            Ok(true) => Refused::Blank,\n",
        "metadata.a_blank_spare_does_not_hide",
    ),
    (
        "histories_are_not_compared",
        "src/core/metadata/survey.rs",
        "    if choice.is_forked(storage, block) {",
        "    if false && choice.is_forked(storage, block) {",
        "metadata.two_histories_of_one_array",
    ),
    (
        "commits_are_not_chained",
        "src/core/metadata/survey.rs",
        " && parent(block) == chain.session;",
        ";",
        "host.metadata.crash_tests.blocks_of_two_histories_are_not_mixed",
    ),
    (
        "a_commit_on_main_alone_counts",
        "src/core/metadata/journal/phases.rs",
        "        if self.has_good_on_spare() {",
        "        if self.good() > 0 {",
        "host.metadata.crash_tests.a_commit_on_main_alone_fails",
    ),
    (
        "a_region_that_misses_commits_is_not_marked",
        "src/core/metadata/journal/phases.rs",
        "(Phase::Mark(ahead), _) => copy.is_unmarked().then(|| log(ahead)),",
        "(Phase::Mark(ahead), _) => (ahead > MARKS && copy.is_unmarked()).then(|| log(ahead)),",
        "host.metadata.crash_tests.a_region_that_missed_commits_is_refused",
    ),
    (
        "a_spare_that_takes_no_writes_has_bad_units",
        "src/core/engine/relocation.rs",
        "        if why == Obstacle::NoSpare && !self.failed.is_empty() {",
        "        if (why == Obstacle::NoSpare || true) && !self.failed.is_empty() {",
        "errors.a_spare_that_takes_no_writes",
    ),
    (
        "one_bad_block_says_that_main_takes_no_writes",
        "src/core/engine/probe.rs",
        "outcome.is_err() || took_one != Some(false)",
        "outcome.is_err() || took_one.is_none() | engine.can_commit_to_main()",
        "breaker.one_bad_block_of_metadata_on_main",
    ),
    (
        "the_number_of_a_pass_overflows",
        "src/scan.rs",
        "        self.number = self.number.saturating_add(1);",
        "        self.number += 1;",
        "scan.numbers_as_large_as_there_are",
    ),
    (
        "slow_reads_of_a_busy_disk_count",
        "src/core/scan/judge.rs",
        "            match is_quiet {",
        "            match is_quiet || piece.len() > 0 {",
        "host.scan.simulation",
    ),
    (
        "others_past_the_device_are_not_seen",
        "rust/block_device.rs",
        "bindings::disk_in_flight(self.as_ptr()) }",
        "bindings::disk_in_flight(self.as_ptr()).min(0) }",
        "scan.a_weak_unit_of_a_busy_disk_is_moved_when_it_is_quiet",
    ),
    (
        "a_slow_disk_is_weak_everywhere",
        "src/core/scan/judge.rs",
        "        if self.singles.is_slow(sample.milliseconds) {",
        "        if self.singles.is_slow(sample.milliseconds) && piece.slow > SLOW {",
        "host.scan.judge",
    ),
    (
        "a_path_that_failed_makes_units_weak",
        "src/scanner.rs",
        "            Ok(()) if is_mediums || main_works && failed >= BELIEVED => self.weak(unit),",
        "            Ok(()) if is_mediums || main_works || failed < BELIEVED => self.weak(unit),",
        "scan.a_unit_of_which_the_path_fails_is_not_weak",
    ),
    (
        "a_pass_tries_for_ever_what_fails_for_other_reasons",
        "src/core/scan/tries.rs",
        "        if self.failed < TRIES && !is_over {",
        "        if self.failed > 0 * TRIES {",
        "host.scan.tries",
    ),
    (
        "units_are_passed_over_while_main_does_not_work",
        "src/scanner.rs",
        "        if !self.main_works(unit) {",
        "        if !self.main_works(unit) && false {",
        "scan.it_waits_while_the_path_fails",
    ),
    (
        "suspects_are_not_read_again",
        "src/scanner.rs",
        "        if let Some(unit) = self.next_suspect(map) {",
        "        if let Some(unit) = self.next_suspect(map).filter(|unit| unit.0 == u64::MAX) {",
        "scan.suspects_are_read_again",
    ),
    (
        "a_mark_is_taken_for_a_blank_block",
        "src/core/metadata/survey.rs",
        "            return Place::Unfinished {\n                alone: header.count == ALONE,\n            }",
        "            return Place::Blank",
        "host.metadata.crash_tests.marks_of_unfinished_writes",
    ),
    (
        "a_region_of_two_arrays_is_believed_alone",
        "tools/remapctl/src/renew.rs",
        "{ 0 } else { ALONE }",
        "{ 0 } else { ALONE - 1 }",
        "host.format_over_regions_of_two_arrays",
    ),
    (
        "an_older_state_is_left_to_the_end",
        "tools/remapctl/src/renew.rs",
        "    heads.sort_by_key(|&(key, ..)| key);\n",
        "    heads.sort_by_key(|&(key, ..)| std::cmp::Reverse(key));\n",
        "host.restore_over_regions_of_which_one_is_behind",
    ),
    (
        "main_is_not_looked_at",
        "tools/remapctl/src/ground.rs",
        "        for &place in &regions {",
        "        for &place in regions.iter().filter(|place| place.region.role() == Role::SPARE) {",
        "host.what_is_on_main_is_overwritten_only_if_it_is_named",
    ),
    (
        "a_spare_area_of_another_length_fits",
        "src/core/metadata/array.rs",
        "        if self.spare_sectors != geometry.spare_sectors() {",
        "        if self.spare_sectors < geometry.spare_sectors() {",
        "host.an_array_that_does_not_fit_is_no_array",
    ),
    (
        "units_in_other_places_are_not_named",
        "tools/remapctl/src/restore.rs",
        "now.get(unit) != then.get(unit)",
        "now.get(unit).is_some() && then.get(unit).is_none()",
        "host.other_metadata_are_restored_only_by_name",
    ),
    (
        "the_clock_orders_backups",
        "tools/remapctl/src/backups.rs",
        "        all.sort();\n",
        "        all.sort_by_key(|backup: &Backup| backup.time);\n",
        "host.backups.tests.each_state",
    ),
    (
        "a_retired_array_keeps_its_metadata",
        "tools/remapctl/src/retire.rs",
        "    renew::erase(&mut disks, &ground, array)",
        "    let _ = renew::erase;\n    Ok(())",
        "retire.units_are_moved_back",
    ),
    (
        "repair_writes_what_it_must_not",
        "tools/remapctl/src/repair.rs",
        "    if !choice.identity.features.may_write() {",
        "    if !choice.identity.features.may_read() {",
        "host.repair_keeps_off_what_it_must_not_write",
    ),
    (
        "the_page_cache_is_believed",
        "tools/remapctl/src/device.rs",
        "is_device || takes_direct_io(path)",
        "takes_direct_io(path) && !is_device",
        "remapctl.what_a_page_cache_kept_is_not_believed",
    ),
    (
        "engine_moves_a_unit_with_writes_in_flight",
        "src/core/engine/relocation.rs",
        "        self.step = Step::Quiescing;\n        Turn::Act(Action::Quiesce)",
        "        self.step = Step::Reading(0);\n        self.read(engine)",
        "host.runs",
    ),
    (
        "engine_acknowledges_before_the_commit",
        "src/core/engine/request.rs",
        "                Action::Wait(Key::Commit(self.group))",
        "                self.end(engine, Status::Ok)",
        "host.runs",
    ),
    (
        "engine_believes_blocks_that_were_not_read",
        "src/core/engine/relocation.rs",
        "let valid = self.got.union(geometry.blocks_at(self.unit, &self.written));",
        "let valid = all;",
        "host.runs",
    ),
    (
        "engine_forgets_blocks_that_became_valid",
        "src/core/engine/request/moving.rs",
        "        let valid = valid.union(engine.geometry().blocks_at(unit, &self.piece));\n",
        "",
        "host.runs",
    ),
    (
        "engine_frees_a_spare_unit_before_the_commit",
        "src/core/engine/relocation.rs",
        "        let number = match engine.stage(",
        "        if let Some(old) = self.from.spare() {\n            engine.release(old);\n        }\n"
        "        let number = match engine.stage(",
        "host.runs",
    ),
    (
        "engine_opens_a_unit_of_unknown_content",
        "src/core/engine/commit.rs",
        "OnFailure::Unknown => Gate::Unknown",
        "OnFailure::Unknown => Gate::Open",
        "host.runs",
    ),
    (
        "engine_reads_a_unit_of_unknown_content",
        "src/core/engine/commit.rs",
        "OnFailure::Unknown => Gate::Unknown",
        "OnFailure::Unknown => Gate::Stuck",
        "host.runs",
    ),
    (
        "engine_leaves_a_unit_open_that_moves",
        "src/core/engine/relocation.rs",
        "if engine.close_gate(self.unit).is_err() {",
        "if false {",
        "host.runs",
    ),
    (
        "engine_gives_up_blocks_of_a_disk_that_is_away",
        "src/core/engine/relocation/source.rs",
        "            return self.stay(engine, Obstacle::Away);\n        }\n        self.tries += 1;",
        "        }\n        self.tries += 1;",
        "host.runs",
    ),
    (
        "engine_gives_up_blocks_for_an_error_of_the_path",
        "src/core/engine/relocation/source.rs",
        "Err(status) => return self.stay(engine, Obstacle::Io(status)),\n        }\n        self.read(engine)",
        "Err(_) => self.failing = self.failing.union(blocks),\n        }\n        self.read(engine)",
        "host.runs",
    ),
    (
        "engine_gives_up_all_blocks_of_a_run",
        "src/core/engine/relocation/source.rs",
        "            Err(_) if !is_single => self.step = Step::Reading(run.end),",
        "            Err(_) if !is_single => self.failing = self.failing.union(blocks),",
        "host.runs",
    ),
    (
        "engine_believes_a_write_that_failed_twice",
        "src/core/engine/request/failed.rs",
        "            Err(status) if is_bad_sector(status) => self.relocate(engine, None, status, now),",
        "            Err(status) if is_bad_sector(status) => self.done(engine),",
        "host.runs",
    ),
    (
        "engine_loses_a_spare_unit",
        "src/core/engine/relocation.rs",
        "        if let Some(spare) = self.spare.take() {\n"
        "            engine.release(spare);\n"
        "        }\n"
        "        if core",
        "        if core",
        "host.runs",
    ),
    (
        "engine_keeps_a_claim",
        "src/core/engine/request/moving.rs",
        "        engine.end_claim(self.unit(engine));\n        self.failed(",
        "        self.failed(",
        "host.runs",
    ),
    (
        "engine_believes_a_probe_of_before",
        "src/core/engine/probe.rs",
        "number = kind.begun + 1;",
        "number = kind.begun;",
        "host.runs",
    ),
    (
        "engine_does_not_wait_for_its_own_writes",
        "src/core/engine/request.rs",
        "        self.io(engine, verb, spare, self.piece.clone(), data, true)",
        "        self.io(engine, verb, spare, self.piece.clone(), data, false)",
        "host.runs",
    ),
]


def copied(folder):
    """A copy of the tree, whose files are newer than all that was built of an earlier one."""
    tree = folder / "tree"
    ignored = shutil.ignore_patterns(".git", "target", "__pycache__")
    shutil.copytree(TOP, tree, symlinks=True, ignore=ignored, copy_function=shutil.copy)
    return tree


@contextlib.contextmanager
def planted(bug, tree):
    """Has the tree contain the bug. Both times the file becomes newer than what was built of it."""
    name, file, before, after, _ = bug
    text = (tree / file).read_text(encoding="utf-8")
    if text.count(before) != 1:
        sys.exit(f"dm-remap: {name}: {file} contains the original text {text.count(before)} times")
    (tree / file).write_text(text.replace(before, after), encoding="utf-8")
    yield
    (tree / file).write_text(text, encoding="utf-8")


def seen(bug, tree):
    """Whether the bug's test fails in one of a few runs, because much depends on chance; and its
    output."""
    environment = {**os.environ, "T": bug[-1], "OPS": "3000"}
    command = [sys.executable, tree / "tests/run.py"]
    for _ in range(RUNS):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if "passed, " not in done.stdout:
            sys.exit(f"dm-remap: {bug[0]}: no test was run\n{done.stdout}{done.stderr}")
        lines = done.stdout.splitlines()
        said = [at for at, line in enumerate(lines) if re.match(FAILED, line)]
        if said:
            return True, "\n".join(lines[said[0] : said[0] + 3])
    return False, done.stdout


def main():
    """Plants the selected bugs."""
    wanted = os.environ.get("T") or ""
    bugs = [bug for bug in BUGS if wanted in bug[0]]
    missed = 0
    print(f"KTAP version 1\n1..{len(bugs)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        tree = copied(pathlib.Path(folder))
        for number, bug in enumerate(bugs, 1):
            say(f"{bug[0]} in {bug[1]}, detected by {bug[-1]} ...")
            with planted(bug, tree):
                was_seen, text = seen(bug, tree)
            missed += not was_seen
            print(text)
            print(f"{'ok' if was_seen else 'not ok'} {number} {bug[0]}", flush=True)
        clean.remove(lambda name: digest(str(tree)) in name)
    print(f"{len(bugs) - missed} detected, {missed} missed", flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
