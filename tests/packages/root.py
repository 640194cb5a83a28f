# SPDX-License-Identifier: GPL-2.0
"""A person's Debian 13, as a folder: made once, and changed in a layer that goes with the test."""

import pathlib
import shutil
import subprocess
import time

from cache import CACHE, digest, made, run, say

SOURCES = pathlib.Path("/etc/apt/sources.list")
# What a machine has before it meets dm-remap, beside the essential packages.
PACKAGES = ["ca-certificates", "dbus", "e2fsprogs", "initramfs-tools", "kmod", "systemd-sysv", "udev"]
# Enters a root with its own processes. The archive of downloaded packages outlives the roots.
ENTER = """
set -e
mount --make-rprivate /
mount -t proc proc "$root/proc"
if [ -n "$sys" ]; then mount --bind "$sys" "$root/sys"; else mount -t sysfs sysfs "$root/sys"; fi
mkdir -p "$archives/partial"
mount --bind "$archives" "$root/var/cache/apt/archives"
exec chroot "$root" /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 TERM=dumb DEBIAN_FRONTEND=noninteractive \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
"""
# Nothing here must survive a loss of power.
QUICK = "--dpkgopt=force-unsafe-io"
# No package starts a service in a root that is not running.
POLICY = "#!/bin/sh\nexit 101\n"


def base():
    """The system without dm-remap and without a kernel."""

    def make(folder):
        begun = time.monotonic()
        say("making a Debian 13 for the packages (about a minute) ...")
        command = ["mmdebstrap", "--quiet", "--variant=apt", f"--include={','.join(PACKAGES)}", QUICK]
        with open(SOURCES, encoding="utf-8") as sources:
            run([*command, "trixie", folder / "tree", "-"], stdin=sources)
        policy = folder / "tree/usr/sbin/policy-rc.d"
        policy.write_text(POLICY, encoding="ascii")
        policy.chmod(0o755)
        say(f"made in {time.monotonic() - begun:.0f} s")

    return made(f"packages-root-{digest(SOURCES, *PACKAGES, QUICK, POLICY)}", make) / "tree"


class Failed(Exception):
    """A command that should have succeeded."""


class Root:
    """The system, with all that is done to it, until the folder goes."""

    def __init__(self, folder):
        self.path = folder / "root"
        self.folder = folder
        for name in ("root", "upper", "work"):
            (folder / name).mkdir()
        layers = f"lowerdir={base()},upperdir={folder}/upper,workdir={folder}/work"
        run(["mount", "-t", "overlay", "overlay", "-o", layers, self.path])
        # What stands in for /sys, if anything does.
        self.sys = ""

    def unmount(self):
        """Ends it."""
        run(["umount", "--recursive", self.path])

    def attempt(self, *command):
        """Runs a command in the root: its status and what it printed."""
        enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", ENTER, "bash"]
        environment = {
            "root": str(self.path),
            "sys": str(self.sys),
            "archives": str(CACHE / "packages-archives"),
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        }
        done = subprocess.run(
            [*enter, *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        return done.returncode, done.stdout

    def run(self, *command):
        """Runs a command in the root that must succeed; what it printed."""
        status, text = self.attempt(*command)
        if status:
            raise Failed(f"{' '.join(command)}: status {status}\n{text}")
        return text

    def apt(self, *words):
        """Runs apt-get, which must succeed; what it printed."""
        return self.run(*APT, *words)

    def attempt_apt(self, *words):
        """Runs apt-get: its status and what it printed."""
        return self.attempt(*APT, *words)

    def add(self, *files):
        """Copies files to /root of the root; their names there."""
        for file in files:
            shutil.copy(file, self.path / "root")
        return [f"/root/{file.name}" for file in files]

    def files(self):
        """The files of packages and of what they made, but for logs, caches and dpkg's own records."""
        pruned = ["/proc", "/sys", "/dev", "/run", "/tmp", "/root", "/var/log", "/var/lib/apt", "/var/lib/dpkg"]
        pruned += ["/var/cache/apt", "/var/cache/debconf", "/var/cache/ldconfig"]
        tests = [word for path in pruned for word in ("-path", path, "-prune", "-o")]
        return set(self.run("find", "/", "-xdev", *tests, "-print").splitlines())


APT = ["apt-get", "-y", "-q", "-o", "Dpkg::Use-Pty=0", "--no-install-recommends"]
