# SPDX-License-Identifier: GPL-2.0
"""A guest: how it is started, saved, restored and watched."""

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
    """One more disk of a guest, as `DISKS=` describes it: `kind:size[:option...]`.

    Kinds are nvme, scsi and virtio. An option is `read@SECTOR`, `write@SECTOR`, either with
    `+COUNT`, which makes QEMU's blkdebug driver fail those sectors, `turns`, alone, which has a write of
    zeroes make the disk fail all writes, and the next one end that, or `4k`, for 4096-byte blocks.
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
                # To QEMU a write of zeroes is a kind of its own.
                kinds = ["read"] if place[1] == "read" else ["write", "write-zeroes"]
                fault = {"event": "none", "errno": 61}
                for sector in range(first, first + int(place[3] or 1)):
                    self.faults += [{**fault, "iotype": kind, "sector": sector} for kind in kinds]
            elif option == "turns":
                fault = {"event": "pwritev", "iotype": "write"}
                # In state 1 an error of 0 takes the place of that of state 2.
                self.faults = [{**fault, "state": 1, "errno": 0}, {**fault, "state": 2, "errno": 61}]
                self.states = [{"state": old, "new_state": 3 - old} for old in (1, 2)]
            elif option == "4k":
                self.block = 4096
            else:
                raise ValueError(f"disk '{text}': unknown option '{option}'")

    def frontend(self):
        """What the guest sees, whatever stands behind it."""
        return f"{self.kind}:{self.bytes}:{self.block}"

    def is_plain(self):
        """Whether it is a disk that User-Mode Linux has too."""
        return self.kind == "virtio" and self.block == 512 and not self.faults and not self.states

    def image(self, number, folder):
        """The file with its contents in `folder`, which may be there already."""
        image = folder / f"disk{number}.img"
        with open(image, "ab") as file:
            file.truncate(self.bytes)
        return image

    def backend(self, number, folder):
        """The storage, as QEMU's `blockdev-add` has it."""
        node = {"driver": "file", "filename": str(self.image(number, folder)), "node-name": f"file{number}"}
        if self.faults:
            inject = [{"once": False, **fault} for fault in self.faults]
            node = {"driver": "blkdebug", "image": node, "inject-error": inject}
        if self.states:
            node["set-state"] = [{"event": "pwritev_zero", **change} for change in self.states]
        return {"driver": "raw", "node-name": f"disk{number}", "file": node}

    def device(self, number):
        """The device, as QEMU's `device_add` has it."""
        device = {"id": f"device{number}", "drive": f"disk{number}"}
        device |= {"logical_block_size": self.block, "physical_block_size": self.block}
        if self.kind == "nvme":
            return {"driver": "nvme", "bus": f"port{number}", "serial": f"disk{number}", **device}
        if self.kind == "scsi":
            errors = {"werror": "report", "rerror": "report"}
            return {"driver": "scsi-hd", "bus": "scsi.0", "scsi-id": number, **device, **errors}
        return {"driver": "virtio-blk-pci", "serial": f"disk{number}", **device}

    def is_plugged_in(self):
        """Whether the device comes when the guest is up, so that a guest that was saved can have it."""
        return self.kind != "virtio"

    def can_be_unplugged(self):
        """Whether the guest can go on without it. Its kernel has no driver for the slots of NVMe disks."""
        return self.kind == "scsi"


# So many slots for NVMe disks has each guest.
SLOTS = 2
# What emulation makes slow and no test needs is left out: string instructions go byte by byte, and
# protection keys and the like end blocks of translated code.
CPU = "max,-la57,-erms,-fsrm,-fsrs,-fzrm,-smap,-smep,-umip,-pku"
# A guest whose clock counts its instructions, one for each nanosecond, and in which nothing is left to chance.
COUNTED = ["-icount", "shift=0,sleep=off", "-seed", "1", "-rtc", "base=2026-01-01T00:00:00,clock=vm"]
COUNTED_CPU = ",-rdrand,-rdseed"
COUNTED_LINE = " norandmaps randomize_kstack_offset=off"
# A state has the guest's memory in files of its own, which a restored guest maps and does not copy.
WITHOUT_MEMORY = [{"capability": "x-ignore-shared", "state": True}]


@functools.cache
def qemu_version():
    """What QEMU says of itself."""
    return subprocess.check_output(["qemu-system-x86_64", "--version"])


class Shape:
    """What a guest's state depends on: everything but the contents of its disks."""

    # pylint: disable-next=too-many-arguments
    def __init__(self, flavour="debug", cpus=2, memory=1024, nodes=1, disks=(), leaks=True, counted=False, bare=0):
        self.flavour, self.cpus, self.memory, self.nodes = flavour, cpus, memory, nodes
        self.disks = list(disks)
        self.leaks = leaks
        self.counted = counted
        # How many of the nodes have CPUs only.
        self.bare = bare

    def arguments(self):
        """QEMU's arguments that must be the same when a saved state is restored."""
        built = kernel.build(self.flavour)
        line = "console=ttyS0 root=/dev/vda ro init=/sbin/stage1 panic=-1 quiet loglevel=5 nokaslr "
        line += "kunit.enable=1 kunit.autorun=0 tsc=reliable null_blk.nr_devices=0 random.trust_cpu=on "
        line += "sysctl.kernel.hung_task_timeout_secs=60"
        # What follows each object costs as much as all other checkers together.
        line += "" if self.leaks else " kmemleak=off no_debug_objects"
        line += COUNTED_LINE if self.counted else ""
        threads = "single" if self.counted else "multi"
        words = ["-machine", "q35", "-accel", f"tcg,thread={threads}"]
        words += ["-cpu", CPU + COUNTED_CPU, *COUNTED] if self.counted else ["-cpu", CPU]
        # A node is a socket: the kernel wonders at one that shares a cache with another.
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
        """The disks that are there when the guest boots, and their numbers."""
        return [pair for pair in enumerate(self.disks) if not pair[1].is_plugged_in()]

    def stores(self):
        """How many nodes have memory."""
        return self.nodes - self.bare

    def memory_in(self, folder, shared):
        """QEMU's arguments for memory in files of `folder`, where writes to it stay only if it is `shared`,
        or in none; a node has an equal part of it, unless it is bare, and of the CPUs."""
        words, cpus = ["-machine", "memory-backend=memory0"] if self.nodes == 1 else [], self.cpus // self.nodes
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
        """What is counted begins with the boot."""
        return not self.counted

    def key(self):
        """Names the state."""
        frontends = " ".join(disk.frontend() for _, disk in self.built_in())
        arguments = " ".join(self.arguments() + self.memory_in(None, False))
        return digest(qemu_version(), arguments, str(guest_root.image()), frontends)


class Guest(Watched):
    """A running guest of QEMU's. The images of the disks it boots with are in the folder `disks`, or go with it.

    The guest begins with the state in the folder `state`, or boots. The folder `saves` is where it can be saved.
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
            # User-Mode Linux locks what it reads in another way, which QEMU takes for writing.
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
            raise RuntimeError(f"{name}: QEMU is gone: {said}") from None
        while True:
            answer = self._answer()
            if "error" in answer:
                raise RuntimeError(f"{name}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def _answer(self):
        """The next that QEMU says; keeps what it says of devices that are gone."""
        line = self.monitor.readline()
        if not line:
            raise RuntimeError("QEMU is gone")
        answer = json.loads(line)
        if answer.get("event") == "DEVICE_DELETED":
            self.deleted.append(answer["data"].get("device"))
        return answer

    def plug_in(self, disks, folder=None):
        """Gives the guest those of the disks that it could not have before; their images are in `folder`, or go
        with the guest."""
        for number, disk in enumerate(disks):
            if disk.is_plugged_in():
                self.command("blockdev-add", **disk.backend(number, folder or self.folder))
                self.command("device_add", **disk.device(number))
                self.plugged[number] = disk

    def pull(self, number):
        """Takes out a disk that was plugged in."""
        del self.plugged[number]
        name = f"device{number}"
        self.command("device_del", id=name)
        while name not in self.deleted:
            self._answer()
        self.deleted.remove(name)
        self.command("blockdev-del", **{"node-name": f"disk{number}"})

    def pull_all(self):
        """Takes out the disks that can be."""
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
    """Saves the state of a guest, whose memory is in that folder; it goes on only where that is restored."""
    guest.command("stop")
    guest.command("migrate-set-capabilities", capabilities=WITHOUT_MEMORY)
    guest.command("migrate", uri=f"file:{folder}/state")
    guest.migrated()


def restored(shape, state_folder, payload, disks=None, saves=None):
    """A guest that goes on where another was saved, without its disks if it is to be saved itself."""
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
    """A folder with the state of a guest of that shape that waits for its payload."""

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
    """A guest that runs a script: from the state `saved` of one that had its payload, or from that of
    one that waits for it where its devices can be saved. It can be saved itself in the folder `saves`."""
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
    """Makes the disk with what is new since the guest was saved: our modules, the tests, and files with these texts."""
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as folder:
        tree = pathlib.Path(folder)
        (tree / "modules").mkdir()
        modules = [*ours, *kernel.build(flavour).glob("drivers/**/*.ko")]
        modules += kernel.build(flavour).glob("lib/**/*.ko")
        for one in modules:
            shutil.copy(one, tree / "modules")
        (tree / "bin").mkdir()
        # What is measured with them would wait for slow ones.
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
    """The guest that the user asked for."""
    number = lambda name, default: int(os.environ.get(name) or default)  # noqa: E731
    try:
        disks = [Disk(text) for text in (os.environ.get("DISKS") or "").split()]
        flavour = (kernel.NATIVE if number("UML", 0) else "") + (os.environ.get("KERNEL") or "debug")
        counted, leaks = bool(number("COUNTED", 0)), bool(number("LEAKS", 1))
        nodes = number("NUMA", 1)
        if kernel.is_native(flavour) and (counted or nodes > 1 or not all(disk.is_plain() for disk in disks)):
            raise ValueError("User-Mode Linux has virtio:SIZE only of DISKS=, and neither NUMA= nor COUNTED=")
        return Shape(flavour, number("SMP", 2), number("MEM", 1024), nodes, disks, leaks, counted)
    except ValueError as error:
        sys.exit(f"dm-remap: {error}")
