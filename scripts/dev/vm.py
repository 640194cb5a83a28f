# SPDX-License-Identifier: GPL-2.0
"""Starts, saves, restores and watches a guest in QEMU."""

import functools
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import guest_root
import kernel
import tools
from cache import CACHE, TOP, digest, made, run
from watched import Lines, Watched

PAYLOAD_BYTES = 96 << 20


class Disk:
    """An additional disk of a guest, as in `DISKS=`: `kind:size[:option...]`.

    Kinds are nvme, scsi and virtio. Options are `read@SECTOR` and `write@SECTOR`, both with an
    optional `+COUNT`: QEMU's blkdebug driver fails these sectors; `turns`, alone: a write of zeroes
    makes all writes fail, and the next one ends that; and `4k`: blocks of 4096 bytes.
    """

    def __init__(self, text):
        words = text.split(":")
        if len(words) < 2 or words[0] not in ("nvme", "scsi", "virtio"):
            raise ValueError(f"disk '{text}': want nvme|scsi|virtio:SIZE[:OPTION...]")
        self.kind = words[0]
        size = re.fullmatch(r"(\d+)([MG])", words[1])
        if not size:
            raise ValueError(f"disk '{text}': size '{words[1]}' is not like 64M or 1G")
        self.bytes = int(size[1]) << {"M": 20, "G": 30}[size[2]]
        self.block = 512
        self.faults, self.states = [], []
        for option in words[2:]:
            place = re.fullmatch(r"(read|write)@(\d+)(?:\+(\d+))?", option)
            if place:
                first = int(place[2])
                # QEMU treats a write of zeroes as a separate kind.
                kinds = ["read"] if place[1] == "read" else ["write", "write-zeroes"]
                fault = {"event": "none", "errno": 61}
                for sector in range(first, first + int(place[3] or 1)):
                    self.faults += [{**fault, "iotype": kind, "sector": sector} for kind in kinds]
            elif option == "turns":
                fault = {"event": "pwritev", "iotype": "write"}
                # In state 1, an error of 0 replaces the error of state 2.
                self.faults = [
                    {**fault, "state": 1, "errno": 0},
                    {**fault, "state": 2, "errno": 61},
                ]
                self.states = [{"state": old, "new_state": 3 - old} for old in (1, 2)]
            elif option == "4k":
                self.block = 4096
            else:
                raise ValueError(f"disk '{text}': unknown option '{option}'")

    def frontend(self):
        """The device that the guest sees, independent of its storage."""
        return f"{self.kind}:{self.bytes}:{self.block}"

    def is_plain(self):
        """Whether User-Mode Linux supports the disk too."""
        return self.kind == "virtio" and self.block == 512 and not self.faults and not self.states

    def image(self, number, folder):
        """The file in `folder` with the contents of the disk, which may exist already."""
        image = folder / f"disk{number}.img"
        with open(image, "ab") as file:
            file.truncate(self.bytes)
        return image

    def backend(self, number, folder):
        """The storage, as arguments of QEMU's `blockdev-add`."""
        node = {
            "driver": "file",
            "filename": str(self.image(number, folder)),
            "node-name": f"file{number}",
        }
        if self.faults:
            inject = [{"once": False, **fault} for fault in self.faults]
            node = {"driver": "blkdebug", "image": node, "inject-error": inject}
        if self.states:
            node["set-state"] = [{"event": "pwritev_zero", **change} for change in self.states]
        return {"driver": "raw", "node-name": f"disk{number}", "file": node}

    def device(self, number):
        """The device, as arguments of QEMU's `device_add`."""
        device = {"id": f"device{number}", "drive": f"disk{number}"}
        device |= {"logical_block_size": self.block, "physical_block_size": self.block}
        if self.kind == "nvme":
            return {"driver": "nvme", "bus": f"port{number}", "serial": f"disk{number}", **device}
        if self.kind == "scsi":
            errors = {"werror": "report", "rerror": "report"}
            return {"driver": "scsi-hd", "bus": "scsi.0", "scsi-id": number, **device, **errors}
        return {"driver": "virtio-blk-pci", "serial": f"disk{number}", **device}

    def is_plugged_in(self):
        """Whether the device is added to a running guest, so that a restored guest can have it."""
        return self.kind != "virtio"

    def can_be_unplugged(self):
        """Whether the guest survives the removal. Its kernel lacks a driver for the slots of NVMe
        disks."""
        return self.kind == "scsi"


# The number of slots for NVMe disks in each guest.
SLOTS = 2
# Features that no test needs and that slow down emulation are disabled: string instructions run
# byte by byte, and protection keys and similar features end blocks of translated code.
CPU = "max,-la57,-erms,-fsrm,-fsrs,-fzrm,-smap,-smep,-umip,-pku"
# The clock of such a guest counts its instructions, one a nanosecond, and nothing depends on
# chance.
COUNTED = [
    "-icount",
    "shift=0,sleep=off",
    "-seed",
    "1",
    "-rtc",
    "base=2026-01-01T00:00:00,clock=vm",
]
COUNTED_CPU = ",-rdrand,-rdseed"
COUNTED_LINE = " norandmaps randomize_kstack_offset=off"
# The memory of a saved state is in separate files, which a restored guest maps instead of copying.
WITHOUT_MEMORY = [{"capability": "x-ignore-shared", "state": True}]


@functools.cache
def qemu_version():
    """QEMU's version text."""
    return subprocess.check_output(["qemu-system-x86_64", "--version"])


class Shape:
    """The dependencies of a guest's state: everything except the contents of its disks."""

    # pylint: disable-next=too-many-arguments
    def __init__(
        self,
        flavour="debug",
        cpus=2,
        memory=1024,
        nodes=1,
        disks=(),
        leaks=True,
        counted=False,
        bare=0,
    ):
        self.flavour, self.cpus, self.memory, self.nodes = flavour, cpus, memory, nodes
        self.disks = list(disks)
        self.leaks = leaks
        self.counted = counted
        # The number of nodes with CPUs only.
        self.bare = bare

    def arguments(self):
        """QEMU's arguments that must be unchanged when a saved state is restored."""
        built = kernel.build(self.flavour)
        line = "console=ttyS0 root=/dev/vda ro init=/sbin/stage1 panic=-1 quiet loglevel=5 nokaslr "
        line += (
            "kunit.enable=1 kunit.autorun=0 tsc=reliable null_blk.nr_devices=0 random.trust_cpu=on "
        )
        line += "sysctl.kernel.hung_task_timeout_secs=60"
        # The checkers that track each object cost as much as all others together.
        line += "" if self.leaks else " kmemleak=off no_debug_objects"
        line += COUNTED_LINE if self.counted else ""
        threads = "single" if self.counted else "multi"
        words = ["-machine", "q35", "-accel", f"tcg,thread={threads}"]
        words += ["-cpu", CPU + COUNTED_CPU, *COUNTED] if self.counted else ["-cpu", CPU]
        # A node is a socket: the kernel warns about nodes that share a cache.
        sockets = f",sockets={self.nodes}" if self.nodes > 1 else ""
        words += ["-smp", f"{self.cpus}{sockets}", "-m", str(self.memory)]
        words += ["-nodefaults", "-nographic", "-no-reboot"]
        words += ["-kernel", str(built / "arch/x86/boot/bzImage"), "-append", line]
        words += ["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]
        words += ["-device", "virtio-blk-pci,drive=root", "-device", "virtio-blk-pci,drive=payload"]
        words += ["-device", "virtio-scsi-pci,id=scsi"]
        for number in range(max(SLOTS, len(self.disks))):
            words += ["-device", f"pcie-root-port,id=port{number},chassis={number}"]
        for number, disk in self.built_in():
            words += ["-device", json.dumps(disk.device(number))]
        return words

    def built_in(self):
        """The disks that are present at boot, and their numbers."""
        return [pair for pair in enumerate(self.disks) if not pair[1].is_plugged_in()]

    def stores(self):
        """The number of nodes with memory."""
        return self.nodes - self.bare

    def memory_in(self, folder, shared):
        """QEMU's arguments for memory in files of `folder`, or in none. Writes to it persist only
        if it is `shared`. Each node has an equal part of the CPUs and, unless it is bare, of the
        memory."""
        words, cpus = (
            ["-machine", "memory-backend=memory0"] if self.nodes == 1 else []
        ), self.cpus // self.nodes
        for node in range(self.stores()):
            store = f"id=memory{node},size={self.memory // self.stores()}M"
            if folder:
                store += f",mem-path={folder}/memory{node},share={'on' if shared else 'off'}"
            words += ["-object", f"memory-backend-{'file' if folder else 'ram'},{store}"]
        for node in range(self.nodes if self.nodes > 1 else 0):
            memory = f"memdev=memory{node}," if node < self.stores() else ""
            words += ["-numa", f"node,{memory}cpus={node * cpus}-{(node + 1) * cpus - 1}"]
        return words

    def can_be_saved(self):
        """Whether the state can be saved. A counted guest must count from its boot."""
        return not self.counted

    def key(self):
        """The name of the state."""
        frontends = " ".join(disk.frontend() for _, disk in self.built_in())
        arguments = " ".join(self.arguments() + self.memory_in(None, False))
        return digest(qemu_version(), arguments, str(guest_root.image()), frontends)


class Guest(Watched):
    """A running guest in QEMU. The images of its boot disks are in the directory `disks`, or are
    removed with the guest.

    The guest starts from the state in the directory `state`, or boots. It can be saved in the
    directory `saves`.
    """

    # pylint: disable-next=too-many-arguments
    def __init__(self, shape, payload=None, state=None, saves=None, disks=None):
        super().__init__()
        self.shape, self.plugged, self.deleted = shape, {}, []
        self.listeners = {
            name: self._listen(name) for name in ("monitor", "kernel", "output", "control")
        }
        if payload is None:
            payload = self.folder / "payload.img"
            with open(payload, "wb") as file:
                file.truncate(PAYLOAD_BYTES)
        words = ["qemu-system-x86_64", *shape.arguments()]
        words += shape.memory_in(saves or state, shared=bool(saves))
        words += self._wiring(payload, disks or self.folder)
        if state:
            words += ["-incoming", "defer"]
        with open(self.folder / "qemu.log", "wb") as log:
            # pylint: disable-next=consider-using-with
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=log)
        sockets = {name: self._accept(one) for name, one in self.listeners.items()}
        self.monitor = sockets["monitor"].makefile("rw", encoding="utf-8")
        self.control = Lines(sockets["control"])
        self.output = sockets["output"]
        self.watch(sockets["kernel"])
        self.monitor.readline()
        self.command("qmp_capabilities")

    def _wiring(self, payload, disks):
        words = []
        for name, path in (("root", guest_root.image()), ("payload", payload)):
            node = {"driver": "raw", "node-name": name, "read-only": True}
            # User-Mode Linux uses another kind of lock for reading, which QEMU takes for a lock for
            # writing.
            file = {"driver": "file", "filename": str(path), "read-only": True, "locking": "off"}
            node["file"] = file
            words += ["-blockdev", json.dumps(node)]
        for number, disk in self.shape.built_in():
            words += ["-blockdev", json.dumps(disk.backend(number, disks))]
        for name in self.listeners:
            words += ["-chardev", f"socket,id={name},path={self.folder / name}"]
        words += ["-mon", "chardev=monitor,mode=control", "-serial", "chardev:kernel"]
        words += ["-device", "virtconsole,chardev=output"]
        words += ["-device", "virtserialport,chardev=control,name=control"]
        return words

    def _listen(self, name):
        one = socket.socket(socket.AF_UNIX)
        one.bind(str(self.folder / name))
        one.listen(1)
        return one

    def _accept(self, listener):
        """Waits for QEMU to connect, or to die."""
        listener.settimeout(0.5)
        while True:
            try:
                return listener.accept()[0]
            except TimeoutError:
                if self.process.poll() is not None:
                    said = (self.folder / "qemu.log").read_text(encoding="utf-8")
                    sys.exit(f"dm-remap: QEMU does not start: {said}")

    def command(self, name, **arguments):
        """Runs a QMP command and returns its answer."""
        try:
            self.monitor.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
            self.monitor.flush()
        except OSError:
            said = (self.folder / "qemu.log").read_text(encoding="utf-8")
            raise RuntimeError(f"{name}: QEMU has exited: {said}") from None
        while True:
            answer = self._answer()
            if "error" in answer:
                raise RuntimeError(f"{name}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def _answer(self):
        """The next answer of QEMU. Events of removed devices are kept."""
        line = self.monitor.readline()
        if not line:
            raise RuntimeError("QEMU has exited")
        answer = json.loads(line)
        if answer.get("event") == "DEVICE_DELETED":
            self.deleted.append(answer["data"].get("device"))
        return answer

    def plug_in(self, disks, folder=None):
        """Plugs in the disks that the guest could not have before; their images are in `folder`, or
        are removed with the guest."""
        for number, disk in enumerate(disks):
            if disk.is_plugged_in():
                self.command("blockdev-add", **disk.backend(number, folder or self.folder))
                self.command("device_add", **disk.device(number))
                self.plugged[number] = disk

    def pull(self, number):
        """Removes a disk that was plugged in."""
        del self.plugged[number]
        name = f"device{number}"
        self.command("device_del", id=name)
        while name not in self.deleted:
            self._answer()
        self.deleted.remove(name)
        self.command("blockdev-del", **{"node-name": f"disk{number}"})

    def pull_all(self):
        """Removes all removable disks."""
        for number in [number for number, disk in self.plugged.items() if disk.can_be_unplugged()]:
            self.pull(number)

    def migrated(self):
        """Waits until the machine's state is saved or restored."""
        while True:
            status = self.command("query-migrate").get("status")
            if status == "completed":
                return
            if status == "failed":
                raise RuntimeError("the guest's state can be neither saved nor restored")
            time.sleep(0.005)


def save(guest, folder):
    """Saves the state of a guest, whose memory is in that directory. The guest continues only where
    the state is restored."""
    guest.command("stop")
    guest.command("migrate-set-capabilities", capabilities=WITHOUT_MEMORY)
    guest.command("migrate", uri=f"file:{folder}/state")
    guest.migrated()


def restored(shape, state_folder, payload, disks=None, saves=None):
    """A guest restored from a state, without its disks if it is to be saved itself."""
    if saves:
        for node in range(shape.stores()):
            run(["cp", "--sparse=always", f"{state_folder}/memory{node}", saves])
    guest = Guest(shape, payload, state_folder, saves, disks)
    guest.command("migrate-set-capabilities", capabilities=WITHOUT_MEMORY)
    guest.command("migrate-incoming", uri=f"file:{state_folder}/state")
    guest.migrated()
    if not saves:
        guest.plug_in(shape.disks, disks)
    guest.command("cont")
    return guest


def state(shape):
    """The directory with the state of a guest of that shape, which waits for its payload."""

    def save_booted(folder):
        guest = Guest(shape, saves=folder)
        try:
            guest.wait_ready()
            save(guest, folder)
        finally:
            guest.end()

    return made(f"state-{shape.key()}", save_booted)


# pylint: disable-next=too-many-arguments
def started(shape, payload, script, disks=None, saved=None, saves=None):
    """A guest that runs a script. It starts from the state `saved`, of a guest with a payload, or
    from the state of a guest that waits for a payload, if its devices can be saved. It can be saved
    in `saves`."""
    if saved:
        guest = restored(shape, saved, payload, disks)
    elif shape.can_be_saved():
        guest = restored(shape, state(shape), payload, disks, saves)
        guest.control.write("go")
    else:
        guest = Guest(shape, payload, disks=disks)
        guest.wait_ready()
        guest.plug_in(shape.disks, disks)
        guest.control.write("go")
    guest.begin(script)
    return guest


def payload_image(path, ours, flavour, texts=None):
    """Makes the disk with everything newer than the saved guest: modules, tests, and files with
    these texts."""
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        tree = pathlib.Path(folder)
        (tree / "modules").mkdir()
        modules = [*ours, *kernel.build(flavour).glob("drivers/**/*.ko")]
        modules += kernel.build(flavour).glob("lib/**/*.ko")
        for one in modules:
            shutil.copy(one, tree / "modules")
        (tree / "bin").mkdir()
        # Measurements must not wait for slow programs.
        profile = "release" if flavour.endswith("bench") else "dev"
        tools.build(tree / "bin", ["guest-tests", "parts", "remapctl"], profile)
        tools.build_c(tree / "bin")
        shutil.copy(TOP / "scripts/guest/stage2", tree / "stage2")
        shutil.copy(TOP / "tests/bench/disks.sh", tree)
        for name, text in (texts or {}).items():
            (tree / name).write_text(text, encoding="utf-8")
        with open(path, "wb") as file:
            file.truncate(PAYLOAD_BYTES)
        run(["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d", tree, path])


def shape_from_environment():
    """The guest that the environment variables describe."""
    number = lambda name, default: int(os.environ.get(name) or default)  # noqa: E731
    try:
        disks = [Disk(text) for text in (os.environ.get("DISKS") or "").split()]
        flavour = (kernel.NATIVE if number("UML", 0) else "") + (
            os.environ.get("KERNEL") or "debug"
        )
        counted, leaks = bool(number("COUNTED", 0)), bool(number("LEAKS", 1))
        nodes = number("NUMA", 1)
        if kernel.is_native(flavour) and (
            counted or nodes > 1 or not all(disk.is_plain() for disk in disks)
        ):
            raise ValueError(
                "User-Mode Linux supports neither NUMA=, COUNTED= nor DISKS= except virtio:SIZE"
            )
        return Shape(flavour, number("SMP", 2), number("MEM", 1024), nodes, disks, leaks, counted)
    except ValueError as error:
        sys.exit(f"dm-remap: {error}")
