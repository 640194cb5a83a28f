# SPDX-License-Identifier: GPL-2.0
"""A test in a guest: the guest that it gets, and its requests to the host."""

import dataclasses
import functools
import itertools
import json
import pathlib
import sys
import tempfile
import threading
import time

import guest as guests
import requests as host_requests
import uml
import vm
from cache import CACHE

from runner.settings import NATIVE

# A test that takes longer is hung: far above what the slowest takes on a machine that is busy with
# other work, since it is no more than the end of a test that would never end.
SECONDS = 3600
# The first script of a guest that tests share.
BEGINS = b"guest-tests begin"


@dataclasses.dataclass(frozen=True)
class Needs:  # pylint: disable=too-many-instance-attributes
    """The requirements of a test (tests/guest/src/kit/needs.rs)."""

    cpus: int = 1
    memory: int = 0
    nodes: int = 1
    bare_nodes: int = 0
    disks: tuple = ()
    hotplug: bool = False
    hands: bool = False
    leaks: bool = False
    waits: bool = False
    repeated: bool = False
    seconds: int = SECONDS

    def shape(self, native):
        """The guest, in User-Mode Linux if it may be `native` and meets all requirements."""
        disks = [vm.Disk(text) for text in self.disks]
        is_plain = self.nodes == 1 and all(disk.is_plain() for disk in disks)
        is_native = native and is_plain and not self.hotplug and not self.hands
        # KASAN's quarantine of freed memory, which is searched when a cache is destroyed, grows
        # with the memory.
        memory = self.memory or 512 * (self.nodes - self.bare_nodes)
        flavour = "uml-debug" if is_native else "debug"
        return vm.Shape(
            flavour, self.cpus, memory, self.nodes, disks, leaks=self.leaks, bare=self.bare_nodes
        )


class Waiting:
    """Guests that a test left unchanged."""

    def __init__(self):
        self.lock, self.guests = threading.Lock(), []

    def take(self, kind):
        """A guest of that kind, and the names of the tests that it ran, or `None`."""
        with self.lock:
            found = [one for one in self.guests if one[0] == kind]
            if not found:
                return None
            self.guests.remove(found[0])
            return found[0][1:]

    def put(self, kind, guest, ran):
        """Keeps a guest for the next test."""
        with self.lock:
            self.guests.append((kind, guest, ran))

    def end(self):
        """Ends all guests."""
        for _, guest, _ in self.guests:
            guest.end()


WAITING = Waiting()


class Machine:
    """A test that runs a script in a guest."""

    def __init__(self, name, script, needs=Needs(), native=NATIVE):
        self.name, self.script, self.needs = name, script, needs
        self.shape = needs.shape(native)
        self.native = self.shape.flavour == "uml-debug"
        # The state of a guest with the module and two disks, if this shape has one.
        self.saved = None
        # Whether the script cleans up, so that its guest can run another test.
        self.shares = False
        # The lines that the test made the host remember, and its pending power cut.
        self.remembered, self.cut_power = [], None

    def passed(self, status, kernel_bugs):
        """Whether a script with this status passed; `None` is the status of a guest that died."""
        return status == 0 and not kernel_bugs

    def kind(self):
        """The kind of guest that can run this test after others."""
        shape = self.shape
        return (shape.cpus, shape.memory, shape.leaks) if self.native else self.saved

    def run(self, payload):
        """Runs the test, boot after boot; returns whether it passed, and its output."""
        # With disk images in memory, no request waits for the host's disk.
        where = uml.MEMORY if self.native else CACHE
        with tempfile.TemporaryDirectory(prefix="run-", dir=where) as folder:
            for boot in itertools.count(1):
                script = guests.preface(boot, self.shape.disks, self.remembered)
                script += self.script.encode()
                status, kernel_bugs, text = self.boot(payload, script, pathlib.Path(folder), boot)
                was_cut = self.cut_power and not self.cut_power.lines
                self.cut_power = None
                if status is None and was_cut and not kernel_bugs:
                    continue
                if status != guests.REBOOT or kernel_bugs:
                    return self.passed(status, kernel_bugs), text

    def boot(self, payload, script, disks, boot):
        """Runs the script in a guest; returns its status, the kernel's reports, and its output with
        an explanation."""
        printed = []
        machine, ran = self.guest(payload, script, disks)
        stays = False
        try:
            requests = functools.partial(self.serve, machine)
            seconds = self.needs.seconds
            status = guests.stream(machine, printed.append, seconds=seconds, requests=requests)
            machine.wait_for_log(status)
            stays = self.shares and status == 0 and not machine.kernel_bugs
            status = 0 if status == guests.SPENT else status
            text = b"".join(printed).decode(errors="replace").replace("\r", "")
            text += f"\n(boot {boot} of at most {seconds} s)"
            text += f"\n(the guest had run {' '.join(ran)})" if ran else ""
            return status, machine.kernel_bugs, text + explained(machine, status)
        finally:
            if stays:
                WAITING.put(self.kind(), machine, [*ran, self.name])
            else:
                machine.end()

    def serve(self, machine, fields):
        """Serves a request of the test to the host."""
        match host_requests.parse(fields):
            case host_requests.Pull(disk):
                machine.pull(disk)
            case host_requests.GiveBack():
                machine.pull_all()
            case host_requests.CutPower() as cut:
                self.cut_power = cut
            case host_requests.Remember(line):
                self.remember(machine, line)

    def remember(self, machine, line):
        """Keeps a line, and cuts the power when it is due."""
        self.remembered.append(line)
        if not self.cut_power:
            return
        left = self.cut_power.lines - 1
        self.cut_power = dataclasses.replace(self.cut_power, lines=left)
        if left:
            return
        time.sleep(self.cut_power.microseconds / 1e6)
        machine.process.kill()
        # The remaining requests.
        while text := machine.control.read():
            match host_requests.parse(json.loads(text)):
                case host_requests.Remember(line):
                    self.remembered.append(line)

    def guest(self, payload, script, disks):
        """A guest that runs the script, and the names of its previous tests."""
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


def explained(machine, status):
    """The kernel's reports, if a script with this status failed."""
    if machine.kernel_bugs:
        first = machine.log.index(machine.kernel_bugs[0])
        lines = machine.log[max(0, first - 3) : first + 60]
        return "\nthe kernel complains:\n" + "\n".join(lines)
    if status is None:
        ended = f"the guest died or took too long ({machine.process.poll()})"
        return f"\n{ended}; its kernel log:\n" + "\n".join(machine.log[-60:])
    if status:
        return "\nend of the kernel log:\n" + "\n".join(machine.log[-25:])
    return ""


def loaded(guest, saves=None):
    """The guest, once it has the module and the disks of most tests; saves it in that directory, if
    any."""
    try:
        if guests.stream(guest, lambda data: None, seconds=SECONDS):
            sys.exit("dm-remap: the module cannot be loaded")
        if saves:
            vm.save(guest, saves)
    except BaseException:
        guest.end()
        raise
    return guest
