# SPDX-License-Identifier: GPL-2.0
"""The system of a root, booted with its own kernel and systemd in QEMU."""

import json
import select
import socket
import subprocess
import time

import vm
import watched
from cache import run

from root import Failed

# What no boot needs and would make the image large: compilers, sources, packages.
LEFT_OUT = ["usr/src", "usr/lib/rustlib", "usr/lib/llvm-19", "usr/lib/gcc", "var/cache", "var/lib/apt/lists"]
UNIT = """[Unit]
Description=Runs the script of a test
After=local-fs.target systemd-udevd.service

[Service]
Type=oneshot
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS1
ExecStart=/bin/sh -c 'mount -o ro /dev/vdb /mnt && bash /mnt/script; echo "status $$?"'
ExecStopPost=/bin/systemctl poweroff --no-block

[Install]
WantedBy=multi-user.target
"""
# What the kernel is told.
LINE = "root=/dev/vda rw console=ttyS0 panic=-1 loglevel=5 systemd.show_status=0 tsc=reliable"
# A boot that takes longer hangs.
SECONDS = 1800


def image(root, folder):
    """Makes the disk with the system of a root, which has the unit that runs a test's script."""
    unit = root.path / "etc/systemd/system/packages-test.service"
    unit.write_text(UNIT, encoding="ascii")
    root.run("systemctl", "enable", "packages-test.service")
    disk = folder / "system.img"
    hidden = " ".join(f'"{root.path}/{name}"' for name in LEFT_OUT)
    run(["truncate", "-s", "3G", disk])
    script = f"for one in {hidden}; do [ ! -d $one ] || mount -t tmpfs hidden $one; done\n"
    script += f'exec mke2fs -q -F -t ext4 -L system -d "{root.path}" "{disk}"'
    run(["unshare", "--mount", "bash", "-c", script])
    root.run("systemctl", "disable", "packages-test.service")
    return disk


class Stock:
    """A machine with an unmodified kernel of Debian's: its system disk and others, which stay from boot to boot."""

    # pylint: disable-next=too-many-arguments
    def __init__(self, root, system, kernel, disks, folder):
        self.kernel, self.folder = kernel, folder
        self.disks = [vm.Disk(text) for text in disks]
        # The numbers of the disks that are there at the next boot, in the order in which they are found.
        self.present = list(range(len(disks)))
        self.line = LINE
        self.vmlinuz = root.path / f"boot/vmlinuz-{kernel}"
        self.initrd = root.path / f"boot/initrd.img-{kernel}"
        self.layer = folder / "system.qcow2"
        run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", system, "-F", "raw", self.layer])

    def _payload(self, script):
        """The disk with the script."""
        tree = self.folder / "payload"
        tree.mkdir(exist_ok=True)
        (tree / "script").write_text(script, encoding="utf-8")
        disk = self.folder / "payload.img"
        disk.unlink(missing_ok=True)
        run(["truncate", "-s", "4M", disk])
        run(["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d", tree, disk])
        return disk

    def image(self, number):
        """The file with the contents of a disk."""
        return self.disks[number].image(number, self.folder)

    def machine(self):
        """QEMU's arguments for the machine and what it starts."""
        return ["-machine", "q35", "-kernel", self.vmlinuz, "-initrd", self.initrd, "-append", self.line]

    def _command(self, script):
        words = ["qemu-system-x86_64", *self.machine(), "-accel", "tcg,thread=multi", "-cpu", vm.CPU]
        words += ["-smp", "2", "-m", "1024", "-nodefaults", "-nographic", "-no-reboot"]
        words += ["-drive", f"if=virtio,format=qcow2,file={self.layer}"]
        words += ["-drive", f"if=virtio,format=raw,readonly=on,file={self._payload(script)}"]
        words += ["-device", "virtio-rng-pci", "-device", "virtio-scsi-pci,id=scsi"]
        for place, number in enumerate(self.present):
            disk = self.disks[number]
            device = disk.device(number)
            if disk.kind == "scsi":
                # It is found in this order, and as it says who it is, it is known wherever that is.
                device |= {"scsi-id": place, "serial": f"disk{number}"}
            words += ["-blockdev", json.dumps(disk.backend(number, self.folder))]
            words += ["-device", json.dumps(device)]
        for name in ("kernel", "output"):
            words += ["-chardev", f"socket,id={name},path={self.folder / name}", "-serial", f"chardev:{name}"]
        return [str(word) for word in words]

    def boot(self, script, moment=None):
        """Boots, runs the script, and powers off: the script's status, or `None`; what it printed; the kernel's log.

        When the script has printed `moment`, the machine loses its power."""
        listeners = {}
        for name in ("kernel", "output"):
            (self.folder / name).unlink(missing_ok=True)
            listeners[name] = socket.socket(socket.AF_UNIX)
            listeners[name].bind(str(self.folder / name))
            listeners[name].listen(1)
        with subprocess.Popen(self._command(script), stdin=subprocess.DEVNULL) as qemu:
            try:
                texts = self._read(qemu, listeners, moment)
            finally:
                qemu.kill()
        lines = texts["output"].replace("\r", "").splitlines()
        ended = [line for line in lines if line.startswith("status ")]
        status = int(ended[-1].split()[1]) if ended else None
        return status, "\n".join(lines), texts["kernel"].replace("\r", "").splitlines()

    @staticmethod
    def _accept(qemu, listener):
        """Waits for QEMU to connect, or to die."""
        listener.settimeout(0.5)
        while True:
            try:
                return listener.accept()[0]
            except TimeoutError:
                if qemu.poll() is not None:
                    raise Failed("QEMU does not start") from None

    def _read(self, qemu, listeners, moment):
        """What comes from both serial lines until QEMU closes them, or until `moment` came."""
        sockets = {self._accept(qemu, listener): name for name, listener in listeners.items()}
        texts = {name: b"" for name in listeners}
        limit = time.monotonic() + SECONDS
        while sockets and time.monotonic() < limit:
            for one in select.select(list(sockets), [], [], 1)[0]:
                data = one.recv(65536)
                texts[sockets[one]] += data
                if not data:
                    del sockets[one]
                if moment and moment.encode() in texts["output"]:
                    sockets.clear()
                    break
        return {name: text.decode(errors="replace") for name, text in texts.items()}


def alarms(log):
    """What in the kernel's log is a complaint."""
    return [line for line in log if watched.KERNEL_BUG_RE.search(line)]
