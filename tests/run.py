# SPDX-License-Identifier: GPL-2.0
"""Runs all tests: those of the host, then those of the guest, each in a machine that is as new.

Prints KTAP, one result a test, and last a line with the totals. `T=` picks tests by a part of
their name, or by several with commas between them. A guest test is a function `test_*` in a file of tests/guest; a comment `#@` above it
may ask for `disks=`, `cpus=`, `memory=`, `nodes=`, `bare=` (nodes without memory) or `seconds=`, and with
`leaks=1` for kmemleak, or with `hotplug=1` for CPUs that go and come. A guest that a test left as it had found it
runs the next one that asks for the same.
`idle=1` is for a test that mostly waits, which runs beside the others. `pull=N` has the host take disk N
out when the test prints `pull`. `cut=2..9` has the guest killed so many seconds after it printed `begin` and
the test run again with the same disks; a test that exits with 194 runs again too. `BOOT` counts, and /run/said
has what was printed before.

Tests run in User-Mode Linux unless they ask for what only QEMU has. `QUICK=1` leaves out all that do, and the fuzz
targets; `UML=0` has all run in QEMU.
"""

import collections
import concurrent.futures
import dataclasses
import functools
import itertools
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "scripts/dev"))

# pylint: disable=wrong-import-position
import fuzz  # noqa: E402
import guest as guests  # noqa: E402
import kernel  # noqa: E402
import module  # noqa: E402
import requests as host_requests  # noqa: E402
import tools  # noqa: E402
import uml  # noqa: E402
import vm  # noqa: E402
from cache import CACHE, CARGO, cargo, say  # noqa: E402

# A guest for each CPU of the host, beside one that begins with the tests that mostly wait: more would wait for each
# other, and each translates the kernel for itself.
AT_ONCE = os.cpu_count() or 1
# User-Mode Linux mostly waits for its own timers, so more of it runs at a time.
NATIVE_AT_ONCE = 3 * AT_ONCE
# Whether tests run in User-Mode Linux where they can, and whether all others are left out.
NATIVE = os.environ.get("UML") != "0"
QUICK = bool(os.environ.get("QUICK"))
# A test that takes longer hangs.
SECONDS = 900
# So many tests must go on from a state for it to be worth saving.
ENOUGH = 4
# How often a test that is `repeated` is run, how often a test that has its guest killed has that done, how many writes
# are logged and replayed, and which part of the allocations is made to fail.
TIMES = int(os.environ.get("TIMES") or 1)
KILLS = os.environ.get("KILLS") or "2"
WRITES = os.environ.get("WRITES") or "8"
STEP = os.environ.get("STEP") or "384"
# What the model of what may be read is tried with: operations for each test, a tenth of them in an emulated machine,
# which takes ten times as long for one; and a seed to repeat one.
OPS = int(os.environ.get("OPS") or 1500)
SEED = os.environ.get("SEED") or ""
# How often what might leak is repeated for each fifth of the loads: kmemleak finds little in few cycles.
CYCLES = os.environ.get("CYCLES") or "1"
# For how many seconds memory is swapped.
SWAP = os.environ.get("SWAP") or "8"
# What a guest has before it gets its first script.
BEGIN = f". /payload/tests/lib.sh\nexport KILLS={KILLS} WRITES={WRITES} STEP={STEP} SWAP={SWAP} CYCLES={CYCLES}"
# What it gets first if tests share it.
BEGINS = b"begin_anew; guest-tests begin"


class Waiting:
    """Guests that a test left as it had found them."""

    def __init__(self):
        self.lock, self.guests = threading.Lock(), []

    def take(self, kind):
        """One of that kind, and the names of the tests that it ran, or `None`."""
        with self.lock:
            found = [one for one in self.guests if one[0] == kind]
            if not found:
                return None
            self.guests.remove(found[0])
            return found[0][1:]

    def put(self, kind, guest, ran):
        """Keeps one for the next test."""
        with self.lock:
            self.guests.append((kind, guest, ran))

    def end(self):
        """Ends all."""
        for _, guest, _ in self.guests:
            guest.end()


WAITING = Waiting()


class Machine:
    """A test that runs a script in a guest."""

    def __init__(self, name, script, wishes=(), native=NATIVE):
        self.name, self.script = name, script
        known = {"disks": "", "cpus": 1, "memory": "", "nodes": 1, "bare": 0, "seconds": SECONDS, "leaks": 0, "idle": 0}
        known |= {"cut": "", "pull": "", "hotplug": 0, "hands": 0}
        for wish in wishes:
            key, value = wish.split("=", 1)
            if key not in known:
                sys.exit(f"{name}: unknown wish '{wish}'")
            known[key] = value
        self.seconds = int(known["seconds"])
        self.pull, self.idle = known["pull"], bool(int(known["idle"]))
        self.cut = [float(second) for second in known["cut"].split("..") if second]
        disks = [vm.Disk(text) for text in known["disks"].split(",") if text]
        cpus, nodes, bare, leaks = (int(known[key]) for key in ("cpus", "nodes", "bare", "leaks"))
        # What KASAN keeps of freed memory, and searches whenever a cache goes, grows with the memory.
        memory = int(known["memory"] or 512 * (nodes - bare))
        hardware = any(not disk.is_plain() for disk in disks) or self.pull or self.cut or nodes > 1 or int(known["hotplug"]) or int(known["hands"])
        self.native = native and not hardware
        flavour = "uml-debug" if self.native else "debug"
        self.shape = vm.Shape(flavour, cpus, memory, nodes, disks, leaks=bool(leaks), bare=bare)
        # The state of a guest that has the module and two disks, once there is one for tests of this shape.
        self.saved = None
        # Whether the script takes down what it put up, so that a guest can run another.
        self.shares = False
        # What the test had the host remember, and when it wants the power to be cut.
        self.remembered, self.cut_power = [], None

    def passed(self, status, alarms):
        """Whether a script that ended so did what it should; `None` is a guest that died."""
        return status == 0 and not alarms

    def kind(self):
        """What a guest must be that can run this test behind others."""
        return (self.shape.cpus, self.shape.memory, self.shape.leaks) if self.native else self.saved

    def run(self, payload):
        """Runs the test, boot after boot; returns whether it passed and what it printed."""
        said = b""
        # Where the images of disks are in memory nobody waits for the host's disk.
        with tempfile.TemporaryDirectory(prefix="run-", dir=uml.MEMORY if self.native else CACHE) as folder:
            for boot in itertools.count(1):
                script = guests.preface(boot, self.shape.disks, said, self.remembered)
                script += self.script.encode()
                status, alarms, printed, text = self.boot(payload, script, pathlib.Path(folder), boot)
                said += printed
                wanted = (self.cut and boot == 1) or (self.cut_power and not self.cut_power.lines)
                was_cut = wanted and status is None and not alarms
                self.cut_power = None
                if not was_cut and (status != guests.REBOOT or alarms):
                    return self.passed(status, alarms), text

    def boot(self, payload, script, disks, boot):
        """Runs the script in one guest: its status, the kernel's complaints, what it printed, and that
        with an explanation."""
        printed = []
        is_cut = self.cut and boot == 1
        seconds = random.uniform(*self.cut) if is_cut else self.seconds
        machine, ran = self.guest(payload, script, disks)
        stays = False

        def sink(data):
            printed.append(data)
            if self.pull and b"pull" in data:
                machine.pull(int(self.pull))
            if b"give back" in data:
                machine.pull_all()

        try:
            after = b"begin " if is_cut else b""
            requests = functools.partial(self.serve, machine)
            status = guests.stream(machine, sink, seconds=seconds, after=after, requests=requests)
            machine.wait_for_log(status)
            said = b"".join(printed)
            text = said.decode(errors="replace").replace("\r", "")
            text += f"\n(boot {boot} of at most {seconds:.2f} s)"
            if ran:
                text += f"\n(the guest had run {' '.join(ran)})"
            stays = self.shares and status == 0 and not machine.alarms
            status = 0 if status == guests.SPENT else status
            if machine.alarms:
                first = machine.log.index(machine.alarms[0])
                text += "\nthe kernel complains:\n"
                text += "\n".join(machine.log[max(0, first - 3) : first + 60])
            elif status is None:
                text += f"\nthe guest died or took too long ({machine.process.poll()}); its kernel log:\n"
                text += "\n".join(machine.log[-60:])
            elif status:
                text += "\nend of the kernel log:\n" + "\n".join(machine.log[-25:])
            return status, machine.alarms, said, text
        finally:
            if stays:
                WAITING.put(self.kind(), machine, [*ran, self.name])
            else:
                machine.end()

    def serve(self, machine, fields):
        """Does what the test asks of the host."""
        match host_requests.parse(fields):
            case host_requests.Pull(disk):
                machine.pull(disk)
            case host_requests.GiveBack():
                machine.pull_all()
            case host_requests.CutPower() as cut:
                self.cut_power = cut
            case host_requests.Remember(line):
                self.remembered.append(line)
                if self.cut_power:
                    left = self.cut_power.lines - 1
                    self.cut_power = dataclasses.replace(self.cut_power, lines=left)
                    if not left:
                        time.sleep(self.cut_power.microseconds / 1e6)
                        machine.process.kill()
                        self.hear_out(machine)

    def hear_out(self, machine):
        """Remembers what a guest that was killed had still asked for."""
        while line := machine.control.read():
            match host_requests.parse(json.loads(line)):
                case host_requests.Remember(line):
                    self.remembered.append(line)

    def guest(self, payload, script, disks):
        """A guest that runs the script, and the names of the tests that it ran before."""
        waiting = WAITING.take(self.kind()) if self.shares else None
        if waiting:
            if not self.native:
                waiting[0].plug_in(self.shape.disks, disks)
            waiting[0].begin(script)
            return waiting
        if not self.native:
            return vm.started(self.shape, payload, script, disks, self.saved), []
        machine = uml.started(self.shape, payload, BEGINS if self.shares else script, disks)
        if self.shares:
            loaded(machine).begin(script)
        return machine, []


def loaded(guest, saves=None):
    """The guest, when it has the module and the disks of most tests; saves it in that folder, if there is one."""
    try:
        if guests.stream(guest, lambda data: None, seconds=SECONDS):
            sys.exit("dm-remap: the module cannot be loaded")
        if saves:
            vm.save(guest, saves)
    except BaseException:
        guest.end()
        raise
    return guest


def alone(text, function):
    """A file of tests without the others, which would take the guest longer to read than many take to run."""
    others = rf"^test_(?!{function.removeprefix('test_')}\b)\w+\(\) {{(?:.*}}|\n(?:.*\n)*?}})\n"
    return re.sub(others, "", text, flags=re.MULTILINE)


class Test(Machine):
    """A guest test: a function of a file in tests/guest."""

    def __init__(self, path, function, wishes):
        name = f"{path.stem}.{function.removeprefix('test_')}"
        # Restored guests are alike, so chance comes from here. The guest reads a script byte by byte.
        seed = SEED or random.randrange(1 << 48)
        script = f"RANDOM={random.randrange(1 << 15)} SEED={seed}\n. /payload/tests/{name}\n"
        super().__init__(name, script, wishes)
        self.shares = self.native
        self.text = f"set -eu\n{alone(path.read_text(encoding='utf-8'), function)}run_test {function}\n"


class RustTest(Machine):
    """A guest test of the program guest-tests."""

    def __init__(self, name, needs):
        wishes = {
            "cpus": needs["cpus"],
            "memory": needs["memory"] or "",
            "nodes": needs["nodes"],
            "bare": needs["bare_nodes"],
            "disks": ",".join(needs["disks"]),
            "hotplug": int(needs["hotplug"]),
            "hands": int(needs["hands"]),
            "leaks": int(needs["leaks"]),
            "idle": int(needs["waits"]),
            "seconds": needs["seconds"],
        }
        seed = SEED or random.randrange(1 << 48)
        script = f"SEED={seed} exec guest-tests run {name} >&3\n"
        super().__init__(name, script, [f"{key}={value}" for key, value in wishes.items()])
        # A native guest has the disks that it boots with.
        self.shares = self.native and not self.shape.disks


class Failing(Machine):
    """A test of the harness: a script that must be seen to fail."""

    # pylint: disable-next=too-many-arguments
    def __init__(self, name, script, wanted, wishes=(), *, native):
        super().__init__(f"harness.{'uml' if native else 'qemu'}.{name}", script, wishes, native)
        self.wanted = wanted

    def passed(self, status, alarms):
        return bool(self.wanted(status, alarms))


def planted_tests(native):
    """Each checker that the tests rely on must complain of a bug of tests/planted."""

    def planted(name, bug, wanted, then="wait $!", wishes=()):
        script = f"insmod $MODULES/planted_bugs.ko bug={bug} &\n{then}\n"
        return Failing(f"sees_{name}", script, wanted, wishes, native=native)

    def alarm(*words):
        return lambda _, alarms: any(word in alarm for alarm in alarms for word in words)

    sleeps = "sleeping function called from invalid context"
    hang = "echo 1 >/proc/sys/kernel/hung_task_timeout_secs; until dmesg | grep -q 'INFO: task'; do sleep 1; done"
    # Only what is some seconds old counts as leaked.
    leak = "wait $!; while guest-tests no-leak; do sleep 1; done; exit 7"
    return [
        planted("read_of_freed_memory", 1, alarm("KASAN: slab-use-after-free")),
        planted("overflow", 2, alarm("kernel BUG at", "BUG: failure at")),
        planted("locks_in_two_orders", 3, alarm("possible circular locking")),
        planted("allocation_that_sleeps_with_a_spinlock", 4, alarm(sleeps)),
        planted("shift_too_far", 5, alarm("UBSAN: shift-out-of-bounds")),
        planted("leak", 6, lambda status, _: status == 7, leak, ["leaks=1", "idle=1"]),
        planted("hang", 7, alarm("INFO: task"), hang, ["idle=1"]),
    ]


def harness_tests(native):
    """Silence means something only if a guest that fails is seen to, and one that a test changed."""

    def failing(name, script, wanted, wishes=()):
        return Failing(name, script, wanted, wishes, native=native)

    trace = "guest-tests begin\nguest-tests as-new || exit\n%s\nif guest-tests as-new; then exit 1; fi\nexit 7\n"
    traces = {"file": ": >/mnt/left", "module": "insmod $MODULES/brd.ko; exec 9</dev/ram0", "spent": ": >/run/spent"}
    return [
        *(failing(f"{name}_is_seen", trace % left, lambda s, a: s == 7 and not a) for name, left in traces.items()),
        failing("exit_status_is_passed_on", "exit 7\n", lambda s, a: s == 7 and not a),
        failing("panic_is_seen", "echo c >/proc/sysrq-trigger\nsleep 60\n", lambda s, a: a and s is None),
        failing("report_is_seen", "echo 'BUG: KASAN: planted' >/dev/kmsg\n", lambda s, a: s == 0 and a),
        failing("time_out_is_seen", "sleep 100\n", lambda s, a: s is None, ["seconds=6", "idle=1"]),
    ]


def rust_tests():
    """The tests of the program guest-tests."""
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        tools.build(folder, ["guest-tests"], "dev")
        program = pathlib.Path(folder) / "guest-tests"
        host_requests.check(subprocess.check_output([program, "requests"]))
        listed = json.loads(subprocess.check_output([program, "list"]))
    return [
        RustTest(test["name"], test["needs"])
        for test in listed
        for _ in range(TIMES if test["needs"]["repeated"] else 1)
    ]


def guest_tests():
    """All guest tests, as their files have them."""
    found = rust_tests()
    for path in sorted((TOP / "tests/guest").glob("*.sh")):
        wishes = []
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("#@"):
                wishes += line[2:].split()
            function = re.match(r"(test_\w+)\(\)", line)
            if function:
                found.append(Test(path, function[1], wishes))
                wishes = []
    return found


class Report:
    """The results so far."""

    def __init__(self, total):
        self.total, self.passed, self.failed = total, 0, 0
        self.lock = threading.Lock()
        print(f"KTAP version 1\n1..{total}", flush=True)

    def add(self, name, passed, text, seconds):
        """Prints one result, with what a failed test printed."""
        with self.lock:
            self.passed += passed
            self.failed += not passed
            number = self.passed + self.failed
            word = "ok" if passed else "not ok"
            if not passed:
                print("\n".join(f"# {line}" for line in text.splitlines()))
            print(f"{word} {number} {name} # {seconds:.1f} s", flush=True)


def cargo_test(*words):
    """Builds the tests of the host, and runs them with such words: what `cargo test` returned and printed."""
    command = "cargo test --locked --workspace --lib --bins --tests --no-fail-fast".split()
    with cargo():
        return subprocess.run(
            [*command, "--target-dir", str(CARGO), "--", *words],
            cwd=TOP,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def host_tests():
    """The names of the tests of the host, which are built, or one that stands for them if they cannot be."""
    say("host tests are built ...")
    return re.findall(r"^(\S+): test$", cargo_test("--list").stdout, re.MULTILINE) or ["cargo_test"]


def run_host_tests(names, report):
    """Runs the tests of the host that have these names, and reports them."""
    done = cargo_test("--exact", *names) if os.environ.get("T") else cargo_test()
    results = re.findall(r"^test (\S+) \.\.\. (ok|FAILED)$", done.stdout, re.MULTILINE)
    failed = {name for name, word in results if word != "ok"}
    # What ended otherwise says nothing of any test.
    passed = {name for name, _ in results} - failed if failed or not done.returncode else set()
    for name in names:
        report.add(host_name(name), name in passed, done.stdout, 0)


def host_name(name):
    """What a test of the host is called among all tests."""
    return f"host.{name.replace('::', '.')}"


def tree_tests():
    """What the source must look like, as pairs of a name and a function that returns complaints."""

    def unsafe_outside_rust():
        files = [p for p in (TOP / "src").rglob("*.rs")]
        return [str(p) for p in files if re.search(r"\bunsafe\b", p.read_text(encoding="utf-8"))]

    def unsafe_forbidden_in_src():
        roots = [TOP / "src/remap.rs", TOP / "src/core/remap_core.rs"]
        text = "#![forbid(unsafe_code)]"
        return [str(p) for p in roots if text not in p.read_text(encoding="utf-8")]

    def unsafe_without_safety():
        complaints = []
        for path in (TOP / "rust").rglob("*.rs"):
            above = []
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                bare = line.strip()
                if re.search(r"\bunsafe (\{|impl)", bare) and not bare.startswith("//"):
                    if not any("SAFETY:" in earlier for earlier in above):
                        complaints.append(f"{path}:{number}")
                if bare.endswith((";", "}")) and not bare.startswith("//"):
                    above = []
                else:
                    above.append(bare)
        return complaints

    def uapi_header():
        sizes = {"header": 96, "standing": 160, "record": 24, "records": 4080, "log": 4096}
        lines = ["#include <stddef.h>", "#include <linux/dm-remap.h>"]
        lines += [
            f'_Static_assert(sizeof(struct dm_remap_{name}) == {size}, "size of {name}");'
            for name, size in sizes.items()
        ]
        offsets = {"unit_sectors": 256, "relocated": 280, "region_blocks": 304, "devices": 320}
        lines += [
            f'_Static_assert(offsetof(struct dm_remap_checkpoint, {name}) == {at}, "{name}");'
            for name, at in offsets.items()
        ]
        command = ["gcc", "-Wall", "-Werror", "-fsyntax-only", "-x", "c", f"-I{TOP}/include/uapi", "-"]
        done = subprocess.run(
            command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=False
        )
        return done.stderr.splitlines()

    return [
        ("tree.uapi_header", uapi_header),
        ("tree.unsafe_outside_rust", unsafe_outside_rust),
        ("tree.unsafe_forbidden_in_src", unsafe_forbidden_in_src),
        ("tree.unsafe_without_safety", unsafe_without_safety),
    ]


def save_loaded(tests, payload, folder):
    """Saves a guest with the module and the disks of most tests for each shape that many of them use."""
    shared = [
        (shape, [test for test in tests if test.shape.key() == key])
        for key, shape in {test.shape.key(): test.shape for test in tests if not test.shape.built_in()}.items()
    ]

    def save_one(number, shape, users):
        saved = folder / f"loaded{number}"
        saved.mkdir()
        loaded(vm.started(shape, payload, BEGINS, saves=saved), saved).end()
        for test in users:
            test.saved, test.shares = saved, isinstance(test, (Test, RustTest))

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for one in [
            pool.submit(save_one, number, shape, users)
            for number, (shape, users) in enumerate(shared)
            if len(users) >= ENOUGH
        ]:
            one.result()


def run_all(*queues):
    """Runs what is in the queues, one after the other, beside others that take from them."""
    for queue in queues:
        while True:
            try:
                one = queue.popleft()
            except IndexError:
                break
            one()


def fuzz_tests():
    """A bounded run of each fuzz target, the same each time, as pairs of a name and a function."""
    runs = {"block": 10_000, "words": 50_000, "load": 1000}
    return [(f"fuzz.{name}", lambda name=name: fuzz.fuzz(name, runs[name], 1)) for name in runs]


def set_up(tests):
    """Builds the modules and saves the guests that the tests begin in; returns the folders with the modules, by the
    flavours of the kernels."""
    built = {flavour: module.build(flavour, "PLANTED=m") for flavour in sorted({test.shape.flavour for test in tests})}
    emulated = [test.shape for test in tests if not test.native]
    shapes = {shape.key(): shape for shape in emulated if shape.can_be_saved()}
    if shapes:
        say(f"guests of {len(shapes)} kinds, booted and saved where they are not yet ...")
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(vm.state, shapes.values()))
    return built


def machine_tests():
    """All tests that run in guests."""
    tests = guest_tests()
    for native in [True, False] if NATIVE else [False]:
        tests += harness_tests(native) + planted_tests(native)
    return [test for test in tests if test.native or not QUICK]


def main():
    """Runs what was asked for."""
    begun = time.monotonic()
    wanted = (os.environ.get("T") or "").split(",")

    def is_wanted(name):
        return any(part in name for part in wanted)

    tests = [test for test in machine_tests() if is_wanted(test.name)]
    trees = [test for test in tree_tests() if is_wanted(test[0])]
    fuzzed = [test for test in fuzz_tests() if is_wanted(test[0]) and not QUICK]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        any_of_host = any(not part or "host." in part for part in wanted)
        listed = pool.submit(host_tests) if any_of_host else None
        built = pool.submit(set_up, tests)
        host = [name for name in listed.result() if is_wanted(host_name(name))] if listed else []
        built = built.result()
    if not (tests or trees or host or fuzzed):
        sys.exit(f"dm-remap: no test has '{','.join(wanted)}' in its name")
    say(f"set up in {time.monotonic() - begun:.0f} s")

    report = Report(len(tests) + len(trees) + len(host) + len(fuzzed))
    for name, check in trees:
        complaints = check()
        report.add(name, not complaints, "\n".join(complaints), 0)

    def fuzz_one(name, run):
        start = time.monotonic()
        passed, text = run()
        report.add(name, passed, text, time.monotonic() - start)

    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        payloads = {flavour: pathlib.Path(folder) / f"{flavour}.img" for flavour in built}
        texts = {f"tests/{test.name}": test.text for test in tests if isinstance(test, Test)}
        for flavour, modules in built.items():
            operations = OPS if kernel.is_native(flavour) else OPS // 10
            begin = {"begin": f"{BEGIN} OPS={operations}\n"}
            vm.payload_image(payloads[flavour], modules.glob("**/*.ko"), flavour, texts | begin)
        emulated = [test for test in tests if not test.native]
        if emulated:
            save_loaded(emulated, payloads["debug"], pathlib.Path(folder))

        def run_one(test):
            start = time.monotonic()
            try:
                passed, text = test.run(payloads[test.shape.flavour])
            except (Exception, SystemExit) as error:  # pylint: disable=broad-except
                passed, text = False, f"the test could not be run: {error!r}"
            report.add(test.name, passed, text, time.monotonic() - start)

        native, busy = collections.deque(), collections.deque()
        idle = collections.deque(lambda one=one: fuzz_one(*one) for one in fuzzed)
        if host:
            native.append(lambda: run_host_tests(host, report))
        for test in sorted(tests, key=lambda test: (-test.seconds, not test.idle)):
            queue = native if test.native else idle if test.idle else busy
            queue.append(lambda test=test: run_one(test))
        lanes = [(native, busy, idle)] * AT_ONCE + [(native, idle, busy)]
        lanes += [(native,)] * (NATIVE_AT_ONCE - len(lanes))
        with concurrent.futures.ThreadPoolExecutor(len(lanes)) as pool:
            for one in [pool.submit(run_all, *lane) for lane in lanes]:
                one.result()
        WAITING.end()
    say(f"tests took {time.monotonic() - begun:.0f} s")
    print(f"{report.passed} passed, {report.failed} failed", flush=True)
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
