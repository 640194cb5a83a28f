# SPDX-License-Identifier: GPL-2.0
"""A guest in User-Mode Linux, a process of the host. It runs at the speed of the host and boots
within seconds, so its state is not saved."""

import os
import socket
import subprocess
import sys

import guest_root
import kernel
from watched import Lines, Watched

# The file system in memory that scripts/enter mounts for the memory of guests.
MEMORY = "/run/guests"
# The module must lie within 2 GiB of the kernel, and behind the memory.
MOST_MEMORY = 1536
# A guest that needs longer to boot is hung.
BOOT_SECONDS = 3600


class Guest(Watched):
    """A running guest, with the interface of a QEMU guest (scripts/dev/vm.py). The images of its
    disks are in the directory `disks`, or are removed with the guest."""

    def __init__(self, shape, payload, disks=None):
        if shape.memory > MOST_MEMORY:
            sys.exit(f"dm-remap: User-Mode Linux has at most {MOST_MEMORY} MiB of memory")
        super().__init__()
        pairs = {name: socket.socketpair() for name in ("kernel", "control", "output")}
        theirs = {name: pair[1].fileno() for name, pair in pairs.items()}
        words = [
            kernel.build(shape.flavour) / "linux",
            f"mem={shape.memory}M",
            f"ncpus={shape.cpus}",
        ]
        words += [
            f"ubd0r={guest_root.image()}",
            f"ubd1r={payload}",
            "root=/dev/ubda",
            "ro",
            "init=/sbin/stage1",
        ]
        for number, disk in enumerate(shape.disks):
            # The file may be followed by a second file, and then by the serial number.
            words += [f"ubd{number + 2}={disk.image(number, disks or self.folder)},,disk{number}"]
        # seccomp controls the processes of the guest. It is faster than ptrace.
        words += [
            "seccomp=on",
            "noreboot",
            "panic=-1",
            "quiet",
            "loglevel=5",
            f"uml_dir={self.folder}/",
        ]
        words += ["con=null", f"con0=null,fd:{theirs['kernel']}", "ssl=null"]
        words += [f"ssl0=fd:{theirs['control']}", f"ssl1=fd:{theirs['output']}"]
        words += ["kunit.enable=1", "kunit.autorun=0", "null_blk.nr_devices=0"]
        words += ["sysctl.kernel.hung_task_timeout_secs=60"]
        # The checkers that track each object cost as much as all others together.
        words += [] if shape.leaks else ["kmemleak=off", "no_debug_objects"]
        # A kernel that panics ends all processes of its session.
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(
            [str(word) for word in words],
            cwd=self.folder,
            env=os.environ | {"TMPDIR": MEMORY},
            stdin=subprocess.DEVNULL,
            stdout=pairs["kernel"][1],
            stderr=pairs["kernel"][1],
            pass_fds=theirs.values(),
            start_new_session=True,
        )
        for pair in pairs.values():
            pair[1].close()
        self.control, self.output = Lines(pairs["control"][0]), pairs["output"][0]
        self.watch(pairs["kernel"][0])

    def end(self):
        """Ends the guest and removes its files. The host ends the processes that run the guest's
        processes."""
        super().end()
        self.control.connection.close()
        self.output.close()


def started(shape, payload, script, disks=None):
    """A guest that runs a script."""
    guest = Guest(shape, payload, disks)
    try:
        guest.control.connection.settimeout(BOOT_SECONDS)
        guest.wait_ready()
        guest.control.connection.settimeout(None)
        guest.begin(script)
    except BaseException:
        guest.end()
        raise
    return guest
