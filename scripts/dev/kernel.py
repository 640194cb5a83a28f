# SPDX-License-Identifier: GPL-2.0
"""The guest's kernel: its source from Debian, its configuration, its build."""

import functools
import os
import re
import subprocess
import sys
import time

from cache import CACHE, TOP, digest, locked, made, run, run_counted, say

# The supported series. `KSERIES=` selects another than the first.
SERIES = re.findall(r"^[\d.]+$", (TOP / "dkms/series").read_text(encoding="ascii"), re.MULTILINE)

# The number of output lines of each build, for the display of progress.
LINES = {"debug": 2500, "bench": 1900, "uml-debug": 1900, "uml-bench": 1400}
# Flavours with this prefix run as a process of the host, with other devices and without firmware.
NATIVE = "uml-"
PATCHES = {
    "uml-debug": [TOP / "scripts/kernel/uml.patch"],
    "uml-bench": [TOP / "scripts/kernel/uml.patch", TOP / "scripts/kernel/uml-bench.patch"],
}


def series():
    """The requested kernel series."""
    wanted = os.environ.get("KSERIES") or SERIES[0]
    if wanted not in SERIES:
        sys.exit(f"dm-remap: KSERIES={wanted}: supported are {', '.join(SERIES)}")
    return wanted


@functools.cache
def version():
    """The newest source package of the series, or the newest cached package if apt does not
    answer."""
    package = f"linux-source-{series()}"
    stamp = CACHE / f"{package}.version"
    with locked(package):
        fresh = stamp.exists() and time.time() - stamp.stat().st_mtime < 24 * 3600
        if not fresh:
            subprocess.run(["apt-get", "-qq", "update"], check=False)
            policy = subprocess.run(
                ["apt-cache", "policy", package], check=True, capture_output=True, text=True
            )
            found = re.search(r"Candidate: (\d\S*)", policy.stdout)
            if found:
                stamp.write_text(found.group(1), encoding="ascii")
        if not stamp.exists():
            sys.exit(f"dm-remap: apt does not know {package}; is the network up?")
        return stamp.read_text(encoding="ascii")


@functools.cache
def source():
    """The unpacked source tree."""
    package, newest = f"linux-source-{series()}", version()

    def unpack(folder):
        begun = time.monotonic()
        say(f"fetching {package} {newest} (165 MB) ...")
        run(["apt-get", "-qq", "update"])
        run(["apt-get", "-qq", "download", f"{package}={newest}"], cwd=folder)
        (deb,) = folder.glob("*.deb")
        run(["dpkg-deb", "-x", deb, folder / "deb"])
        deb.unlink()
        (tarball,) = (folder / "deb/usr/src").glob("*.tar.xz")
        run(["tar", "-xf", tarball, "-C", folder, "--strip-components=1"])
        run(["rm", "-rf", folder / "deb"])
        say(f"kernel source ready in {time.monotonic() - begun:.0f} s")

    return made(f"source-{newest.replace('~', '_')}", unpack)


def is_native(flavour):
    """Whether the flavour is a User-Mode Linux."""
    return flavour.startswith(NATIVE)


def fragments(flavour):
    """The configuration files of a flavour, in order; the last one has what only this series needs."""
    folder = TOP / "scripts/kernel"
    parts = ["base", flavour.removeprefix(NATIVE)]
    if is_native(flavour):
        parts += ["uml"] + (["uml-bench"] if flavour == "uml-bench" else [])
    files = [folder / f"{part}.config" for part in parts]
    of_series = folder / f"{series()}.config"
    return files + ([of_series] if of_series.exists() else [])


@functools.cache
def tree(flavour):
    """The source tree of a flavour. All trees share the files that the native patches do not
    change."""
    unpacked = source()
    patches = PATCHES.get(flavour)
    if not patches:
        return unpacked

    def apply(folder):
        run(["cp", "-al", unpacked, folder / "linux"])
        for patch in patches:
            run(["git", "apply", patch], cwd=folder / "linux")

    return made(f"{unpacked.name}-{digest(*patches)}", apply) / "linux"


def make(flavour, folder, *words):
    """The command that makes targets of the kernel `flavour`, which is built in `folder`."""
    if is_native(flavour):
        words = ["ARCH=um", *words]
    return ["make", "-C", tree(flavour), f"O={folder}", "LLVM=1", f"-j{os.cpu_count()}", *words]


def requirements(flavour):
    """The line of each option in the fragments; the last fragment with the option applies."""
    lines = [
        line
        for part in fragments(flavour)
        for line in part.read_text(encoding="ascii").splitlines()
    ]
    named = [(re.match(r"(?:# )?(CONFIG_\w+)", line), line) for line in lines]
    return {option[1]: line for option, line in named if option}


def check_config(folder, flavour):
    """Fails unless every option of the fragments is in the configuration: an option with a missing
    dependency disappears."""
    taken = set((folder / ".config").read_text(encoding="ascii").splitlines())
    wanted = [
        line
        for line in requirements(flavour).values()
        if not line.startswith("#") and not line.endswith("=n")
    ]
    missing = [line for line in wanted if line not in taken]
    if missing:
        sys.exit(f"dm-remap: {flavour} kernel: not in the configuration: {', '.join(missing)}")


@functools.cache
def build(flavour):
    """The directory of the built kernel `flavour`: `debug`, `bench`, or one of them with `uml-`."""
    if flavour not in LINES:
        sys.exit(f"dm-remap: KERNEL={flavour}: supported are {', '.join(LINES)}")
    toolchain = subprocess.run(
        ["sh", "-c", "rustc -V; clang --version; bindgen -V"], check=True, capture_output=True
    ).stdout
    key = digest(version(), toolchain, *fragments(flavour), *PATCHES.get(flavour, []))

    def compile_kernel(folder):
        merged = folder / "fragments.config"
        merged.write_text("\n".join(requirements(flavour).values()) + "\n", encoding="ascii")
        configure = make(flavour, folder, f"KCONFIG_ALLCONFIG={merged}", "allnoconfig")
        run(configure, stdout=subprocess.DEVNULL)
        check_config(folder, flavour)
        title = f"building the {flavour} kernel {version()}"
        log = CACHE / f"kernel-{flavour}.log"
        image = "linux" if is_native(flavour) else "bzImage"
        run_counted(title, make(flavour, folder, image, "modules"), log, LINES[flavour])

    return made(f"kernel-{flavour}-{key}", compile_kernel)
