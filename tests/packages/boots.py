# SPDX-License-Identifier: GPL-2.0
"""What is tested of the packages with machines that boot."""

import pathlib

import boot
import kernel
from cache import run

from secure import Firmware, SecureStock

HERE = pathlib.Path(__file__).parent
# Main, of which four sectors cannot be written, and spare.
DISKS = ["scsi:256M:write@4133+2:write@9001:write@20011", "scsi:16M"]
# The same for a root file system: a sector in each 16 MiB.
ROOT_DISKS = ["scsi:3G" + "".join(f":write@{at}" for at in range(8005, 3 << 21, 32768)), "scsi:64M"]
# The disk on which a machine leaves a file for the test.
EXCHANGE = "virtio:4M"


def script(name, variables):
    """A script that begins with these variables."""
    text = "".join(f"{name}={value}\n" for name, value in variables.items())
    return text + (HERE / name).read_text(encoding="utf-8")


def booted(machine, name, variables, moment=None):
    """Boots a machine for a script, whose kernel must not complain: the script's status, what it printed, and what is
    told where that is wrong."""
    status, text, log = machine.boot(script(name, variables), moment)
    told = f"{machine.kernel}, {name}, {variables}:\n{text}\nthe kernel's log:\n" + "\n".join(log[-60:])
    assert not boot.alarms(log), told
    return status, text, told


def runs(machine, name, **variables):
    """Boots a machine for a script that must succeed, with the machine's kernel."""
    status, text, told = booted(machine, name, variables)
    assert status == 0, told
    assert machine.kernel in text, told


def loses_power(machine, name, moment):
    """Boots a machine for a script, and cuts its power when the script has printed `moment`."""
    _, text, told = booted(machine, name, {}, moment)
    assert moment in text, told


def stock(world, release, name, disks=tuple(DISKS)):
    """A machine called `name` with that kernel and these disks."""
    folder = world.folder / f"{name}-{release}"
    folder.mkdir()
    return boot.Stock(world.root, world.image(), release, disks, folder)


def stock_kernels_boot(world):
    """Each kernel, unmodified, with systemd, loads the module from the package and relocates."""
    for release in map(world.newest, kernel.SERIES):
        machine = stock(world, release, "first")
        runs(machine, "first_use.sh")
        runs(machine, "next_boot.sh")


def an_adopted_disk_comes_back(world):
    """A disk with a file system is adopted, and the next boot mounts it by its UUID from the array."""
    for release in map(world.newest, kernel.SERIES):
        machine = stock(world, release, "adopted")
        runs(machine, "adopt.sh")
        runs(machine, "adopted.sh", TARGET=0)


def an_adopted_disk_survives(world):
    """The disks come in another order, the spare does not come, and power is cut."""
    release = world.newest(kernel.SERIES[-1])
    machine = stock(world, release, "survives")
    runs(machine, "adopt.sh")
    machine.present = [1, 0]
    runs(machine, "adopted.sh", TARGET=1)
    machine.present = [0]
    runs(machine, "without_spare.sh")
    machine.present = [0, 1]
    loses_power(machine, "write_until_cut.sh", "acknowledged 16")
    runs(machine, "acknowledged.sh", COUNT=16)


def data_move_to_a_new_disk(world):
    """The data of an adopted disk move to a new one, with a reboot in between, and the old disks are pulled."""
    machine = stock(world, world.newest(kernel.SERIES[0]), "moves", [*DISKS, "scsi:288M"])
    runs(machine, "adopt.sh")
    runs(machine, "move.sh")
    runs(machine, "move_on.sh")
    runs(machine, "moved.sh", TARGET=2)
    machine.present = [2]
    runs(machine, "moved.sh", TARGET=0)


def secure_boot(world):
    """With Secure Boot, the module is loaded once its key is enrolled, and not before."""
    release = world.newest(kernel.SERIES[-1])
    firmware = Firmware(world.folder / "firmware")
    try:
        for enrolled, key in ((0, None), (1, world.root.path / "var/lib/dkms/mok.pub")):
            folder = world.folder / f"secure-{enrolled}"
            folder.mkdir()
            machine = SecureStock(world.root, world.image(), release, folder, firmware, key)
            runs(machine, "secure_boot.sh", ENROLLED=enrolled)
    finally:
        firmware.unmount()


def root_on_an_array(world):
    """The root file system is adopted, and the initramfs of either tool activates its array."""
    root, release = world.root, world.newest(kernel.SERIES[-1])
    machine = stock(world, release, "root", [*ROOT_DISKS, EXCHANGE])
    run(["cp", "--sparse=always", world.image(), machine.image(0)])
    runs(machine, "adopt_root.sh")
    table = root.path / "etc/remaptab"
    table.write_bytes(machine.image(2).read_bytes().rstrip(b"\0"))
    machine.line = machine.line.replace("root=/dev/vda", "root=/dev/mapper/root")

    root.run("update-initramfs", "-u", "-k", release)
    runs(machine, "root_on_array.sh", FIRST=1)
    runs(machine, "root_on_array.sh", FIRST=0)

    root.apt("install", "dracut-core")
    root.run("dracut", "--force", "--no-hostonly", "--add", "remap", "/root/dracut.img", release)
    machine.initrd = root.path / "root/dracut.img"
    runs(machine, "root_on_array.sh", FIRST=0)
    root.apt("purge", "--autoremove", "dracut-core")
    table.unlink()
