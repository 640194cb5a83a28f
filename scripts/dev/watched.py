# SPDX-License-Identifier: GPL-2.0
"""What guests have in common, whatever runs them: they are sent scripts, and what their kernels say is read."""

import pathlib
import re
import shutil
import sys
import tempfile
import threading

from cache import CACHE

# What in the kernel's log makes a run fail, whatever the script says. null_blk's list of bad blocks is read
# without a lock while it changes; it warns of what it then sees, before it looks again.
ALARMS = re.compile(
    r"BUG:|KASAN:|UBSAN:|WARNING:(?! at badblocks_check)|Oops|general protection fault|kernel BUG at|Kernel panic|"
    r"possible circular locking|possible recursive locking|inconsistent lock state|"
    r"suspicious RCU usage|INFO: task .* blocked|detected stalls|soft lockup|refcount_t:|"
    r"dm_put_device call missing|unreferenced object|kmemleak: \d+ new suspected|ODEBUG:|"
    r"INFO: trying to register non-static"
)
# What the guest prints last into its kernel's log.
END_OF_LOG = "dm-remap: the run ended"


class Lines:
    """A connection on which both sides send lines."""

    def __init__(self, connection):
        connection.settimeout(None)
        self.connection, self.rest = connection, b""

    def fileno(self):
        """For `select`: readable when a line, or a part of one, or the end, is there."""
        return self.connection.fileno()

    def read(self):
        """The next line, or an empty one at the end."""
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
    """A text in one line, for printf's %b, between single quotes too."""
    plain = set(range(32, 127)) - set(b"\\'")
    return "".join(chr(byte) if byte in plain else f"\\0{byte:03o}" for byte in script)


class Watched:
    """A running guest. Whoever starts it sets `process`, `control`, which are `Lines`, and the socket `output`."""

    process = control = output = watcher = None

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=CACHE))
        self.alarms, self.log = [], []
        self.log_ended = threading.Event()

    def watch(self, connection):
        """Reads the kernel's log from there."""
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
                if ALARMS.search(line):
                    self.alarms.append(line)
        self.log_ended.set()

    def wait_for_log(self, status):
        """Waits until all that the kernel has said of a run was read, which ended so; one that died says no more."""
        if status is None:
            self.process.kill()
        self.log_ended.wait()

    def wait_ready(self):
        """Waits until the guest is up."""
        if self.control.read() != "ready":
            print("\n".join(self.log[-60:]), file=sys.stderr)
            sys.exit("dm-remap: the guest does not come up")
        if self.alarms:
            sys.exit("dm-remap: the guest's kernel complains at boot: " + self.alarms[0])

    def begin(self, script):
        """Sends a script, when the guest waits for its first or has said how the one before ended."""
        self.log_ended.clear()
        self.control.write(escaped(script))

    def end(self):
        """Ends the guest and removes what it left."""
        self.process.kill()
        self.process.wait()
        self.watcher.join(5)
        shutil.rmtree(self.folder, ignore_errors=True)
