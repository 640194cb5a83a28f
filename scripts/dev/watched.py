# SPDX-License-Identifier: GPL-2.0
"""The common parts of guests in QEMU and User-Mode Linux: they receive scripts, and their kernel
logs are read."""

import pathlib
import re
import shutil
import sys
import tempfile
import threading

from cache import CACHE

# Reports in the kernel log that fail a run, regardless of its script. null_blk reads its list of
# bad blocks without a lock during changes, and may warn before it reads again.
KERNEL_BUG_RE = re.compile(
    r"BUG:|KASAN:|UBSAN:|WARNING:(?! at badblocks_check)|Oops|general protection fault|kernel BUG at|"
    r"Kernel panic|possible circular locking|possible recursive locking|inconsistent lock state|"
    r"suspicious RCU usage|INFO: task .* blocked|detected stalls|soft lockup|refcount_t:|"
    r"dm_put_device call missing|unreferenced object|kmemleak: \d+ new suspected|ODEBUG:|"
    r"INFO: trying to register non-static"
)
# The guest's last line in its kernel log.
END_OF_LOG = "dm-remap: the run ended"


class Lines:
    """A connection on which both sides send lines."""

    def __init__(self, connection):
        connection.settimeout(None)
        self.connection, self.rest = connection, b""

    def fileno(self):
        """For `select`: readable if a line, a part of a line, or the end is available."""
        return self.connection.fileno()

    def read(self):
        """The next line, or an empty line at the end."""
        while b"\n" not in self.rest:
            data = self.connection.recv(4096)
            if not data:
                return ""
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode(errors="replace").strip()

    def write(self, line):
        """Sends a line."""
        self.connection.sendall(line.encode() + b"\n")


def escaped(script):
    """The text as a single line for printf's %b, also between single quotes."""
    plain = set(range(32, 127)) - set(b"\\'")
    return "".join(chr(byte) if byte in plain else f"\\0{byte:03o}" for byte in script)


class Watched:
    """A running guest. Its creator sets `process`, `control` (`Lines`), and the socket `output`."""

    process = control = output = watcher = None

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=CACHE))
        self.kernel_bugs, self.log = [], []
        self.log_ended = threading.Event()

    def watch(self, connection):
        """Reads the kernel log from the connection."""
        connection.settimeout(None)
        self.watcher = threading.Thread(target=self._watch, args=(connection,), daemon=True)
        self.watcher.start()

    def _watch(self, connection):
        with connection, connection.makefile("r", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                line = line.rstrip()
                if line.endswith(END_OF_LOG):
                    self.log_ended.set()
                    continue
                self.log.append(line)
                if KERNEL_BUG_RE.search(line):
                    self.kernel_bugs.append(line)
        self.log_ended.set()

    def wait_for_log(self, status):
        """Waits until the whole kernel log of a run with this status was read. A dead guest logs no
        more."""
        if status is None:
            self.process.kill()
        self.log_ended.wait()

    def wait_ready(self):
        """Waits until the guest has booted."""
        if self.control.read() != "ready":
            print("\n".join(self.log[-60:]), file=sys.stderr)
            sys.exit("dm-remap: the guest does not boot")
        if self.kernel_bugs:
            sys.exit("dm-remap: the guest's kernel reports at boot: " + self.kernel_bugs[0])

    def begin(self, script):
        """Sends a script, when the guest waits for its first script or has ended the previous
        one."""
        self.log_ended.clear()
        self.control.write(escaped(script))

    def end(self):
        """Ends the guest and removes its files."""
        self.process.kill()
        self.process.wait()
        self.watcher.join(5)
        shutil.rmtree(self.folder, ignore_errors=True)
