# SPDX-License-Identifier: GPL-2.0
"""Checks of the source tree."""

import re
import subprocess

import kernel
import module
from cache import TOP

from runner import imports

# The sizes of the structures in include/uapi/linux/dm-remap.h, and offsets of some fields.
SIZES = {"header": 96, "standing": 160, "record": 24, "records": 4080, "log": 4096}
# The most bytes of stack for one function of the module.
MOST_FRAME = 4096
OFFSETS = {"unit_sectors": 256, "relocated": 280, "region_blocks": 304, "devices": 320}


def unsafe_outside_rust():
    """The files of src/ with unsafe code."""
    files = [p for p in (TOP / "src").rglob("*.rs")]
    return [str(p) for p in files if re.search(r"\bunsafe\b", p.read_text(encoding="utf-8"))]


def unsafe_forbidden_in_src():
    """The roots of crates that do not forbid unsafe code."""
    roots = [TOP / "src/remap.rs", TOP / "src/core/remap_core.rs"]
    text = "#![forbid(unsafe_code)]"
    return [str(p) for p in roots if text not in p.read_text(encoding="utf-8")]


def unsafe_without_safety():
    """The places of unsafe code without a SAFETY comment."""
    complaints = []
    for path in (TOP / "rust").rglob("*.rs"):
        above = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            bare = line.strip()
            if re.search(r"\bunsafe (\{|impl)", bare) and not bare.startswith("//"):
                if not any("SAFETY:" in earlier for earlier in above):
                    complaints.append(f"{path}:{number}")
            if bare.endswith((";", "}")) and not bare.startswith("//"):
                above = []
            else:
                above.append(bare)
    return complaints


def uapi_header():
    """The compiler's complaints about the header and its sizes."""
    lines = ["#include <stddef.h>", "#include <linux/dm-remap.h>"]
    for name, size in SIZES.items():
        lines.append(f'_Static_assert(sizeof(struct dm_remap_{name}) == {size}, "{name}");')
    for name, at in OFFSETS.items():
        field = f"offsetof(struct dm_remap_checkpoint, {name})"
        lines.append(f'_Static_assert({field} == {at}, "{name}");')
    command = "gcc -Wall -Werror -fsyntax-only -x c".split() + [f"-I{TOP}/include/uapi", "-"]
    text = "\n".join(lines) + "\n"
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return done.stderr.splitlines()


def no_import_circle():
    """The crates of the module with a circle of imports."""
    return imports.circles(TOP)


def supported_series():
    """What the README says of the supported series, if that is not the list of dkms/series."""
    text = (TOP / "README.md").read_text(encoding="utf-8")
    said = re.findall(r"^ *Supported kernel series: (.*?)[.;]\s", text, re.MULTILINE)
    wanted = [" and ".join(kernel.SERIES)]
    return [] if said == wanted else [f"README.md: {said}, dkms/series: {wanted}"]


def one_version():
    """The versions of the module, the tool and the packages, if they differ."""
    places = {
        "src/version.rs": r"VERSION: .*\[(\d+), (\d+), (\d+)\]",
        "tools/remapctl/Cargo.toml": r"^version = \"(\d+)\.(\d+)\.(\d+)\"",
        "debian/changelog": r"^dm-remap \((\d+)\.(\d+)\.(\d+)\)",
    }
    found = {}
    for name, pattern in places.items():
        match = re.search(pattern, (TOP / name).read_text(encoding="utf-8"), re.MULTILINE)
        found[name] = match and match.groups()
    return [] if len(set(found.values())) == 1 and all(found.values()) else [str(found)]


def no_large_frame():
    """The functions of the module that take more of the kernel's stack of 16 KiB than they may."""
    built = module.build(f"{kernel.NATIVE}debug") / "dm_remap.ko"
    command = ["objdump", "-d", "--no-show-raw-insn", str(built)]
    complaints, function = [], ""
    for line in subprocess.check_output(command, text=True).splitlines():
        if label := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            function = label[1]
        elif size := re.search(r"sub +\$0x([0-9a-f]+),%rsp", line):
            if int(size[1], 16) > MOST_FRAME:
                complaints.append(f"{int(size[1], 16)} bytes: {function}")
    return complaints


# The names of the checks, and functions that return complaints.
TESTS = {
    f"tree.{check.__name__}": check
    for check in [
        no_import_circle,
        no_large_frame,
        one_version,
        supported_series,
        uapi_header,
        unsafe_outside_rust,
        unsafe_forbidden_in_src,
        unsafe_without_safety,
    ]
}
