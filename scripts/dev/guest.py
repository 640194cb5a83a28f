# SPDX-License-Identifier: GPL-2.0
"""Runs a script in a guest, or opens a shell in a guest."""

import itertools
import json
import os
import pathlib
import select
import sys
import tempfile
import termios
import time
import tty

import kernel
import module
import uml
import vm
import watched
from cache import CACHE, say

# After this exit status, the script runs again in a rebooted guest: BOOT counts the boots.
REBOOT = 194
# This exit status means success, but no other script may run in the same guest.
SPENT = 195
# The guest prints this after the output of a script.
END = b"\036"


# pylint: disable-next=too-many-branches
def stream(guest, sink, source=None, seconds=None, requests=None):
    """Passes the guest's output to `sink`, and its requests to `requests`, until its script ends.

    Returns the script's status, or `None` if the guest died or took more than `seconds`.
    """
    control = guest.control
    waits = [guest.output, control]
    if source is not None:
        waits.append(source)
    limit = None if seconds is None else time.monotonic() + seconds
    ended, complete = None, False
    while True:
        left = 1 if limit is None else min(1, limit - time.monotonic())
        if left <= 0:
            # The output up to the kill, and no later output.
            guest.process.kill()
            while data := guest.output.recv(65536):
                sink(data)
            return None
        ready = select.select(waits, [], [], 0.1 if ended is not None else left)[0]
        if guest.output in ready:
            data = guest.output.recv(65536)
            complete = data.endswith(END)
            sink(data.removesuffix(END))
            if not data:
                waits.remove(guest.output)
        if source is not None and source in ready:
            guest.output.sendall(os.read(source, 4096))
        if ended is None and control in ready:
            line = control.read()
            if line.startswith("{") and requests:
                requests(json.loads(line))
            elif line.startswith("exit "):
                ended = int(line.removeprefix("exit "))
                waits.remove(control)
            else:
                return None
        elif ended is not None and guest.output not in ready:
            return ended
        if complete and ended is not None:
            return ended
        if guest.process.poll() is not None:
            return ended


def verdict(guest, status):
    """Whether the run succeeded; prints the failures."""
    guest.wait_for_log(status)
    if status is None:
        print("\n".join(guest.log[-60:]), file=sys.stderr)
        say("the guest died or did not end in time; above is the end of its kernel log")
        return 1
    if guest.kernel_bugs:
        first = guest.log.index(guest.kernel_bugs[0])
        print("\n".join(guest.log[max(0, first - 3) : first + 60]), file=sys.stderr)
        say(f"the guest's kernel reports: {guest.kernel_bugs[0]}")
        return 1
    return status


def preface(boot, disks=(), remembered=()):
    """The text before a script: it sets the number of the boot, waits for the disks, and restores
    the remembered lines."""
    lines = "".join(f"{line}\n" for line in remembered).encode()
    lines = f"printf %b '{watched.escaped(lines)}' >/run/remembered\n" if lines else ""
    disks = f"disks_come {len(disks)}\n" if disks else ""
    return f"export BOOT={boot}\n{disks}{lines}".encode()


def attend(guest, interactive):
    """Passes on the guest's output, and connects the terminal if `interactive`."""

    def sink(data):
        sys.stdout.buffer.write(data.replace(b"\r\n", b"\n"))
        sys.stdout.buffer.flush()

    if not interactive:
        return verdict(guest, stream(guest, sink))
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        return verdict(guest, stream(guest, lambda d: os.write(1, d), source=0))
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def run_script(script, interactive=False):
    """Runs a script, with the terminal as its input if `interactive`, once for each boot."""
    shape = vm.shape_from_environment()
    built = module.build(shape.flavour)
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        payload = pathlib.Path(folder) / "payload.img"
        vm.payload_image(payload, [built / "dm_remap.ko"], shape.flavour)
        for boot in itertools.count(1):
            clock = f"date -s @{time.time():.0f} >/dev/null\n".encode()
            whole = clock + preface(boot, shape.disks) + script
            started = uml.started if kernel.is_native(shape.flavour) else vm.started
            guest = started(shape, payload, whole, pathlib.Path(folder))
            try:
                status = attend(guest, interactive)
            finally:
                guest.end()
            if status != REBOOT:
                return status


if __name__ == "__main__":
    if sys.argv[1:] == ["--shell"]:
        shell = vm.TOP / "scripts/guest/shell"
        sys.exit(run_script(shell.read_bytes(), interactive=True))
    if sys.argv[1:] != ["-"]:
        sys.exit("usage: guest.py --shell, or guest.py - with the script as standard input")
    sys.exit(run_script(sys.stdin.buffer.read()))
