# SPDX-License-Identifier: GPL-2.0
"""Counts the module's locked instructions on the path of a request to main, in its machine code."""

import re
import subprocess

# The start of the path, and functions beside the path: for requests with entries, for errors, and
# for requests that the target completes.
BEGINS = re.compile(r"vtable.*(3map|6end_io)")
BESIDE = re.compile(r"map_by_entries|6Target6failed|bio_reset_completion")
# An exchange with memory is always locked. Kernel functions that the module calls may be locked.
LOCKED = re.compile(
    r"\tlock |\txchg .*\(|"
    r"rust_helper_(?:atomic\w*_(?:add|sub|inc|dec|and|or|xor|xchg|cmpxchg|try|fetch)|"
    r"refcount|spin_|mutex_)"
)
# A call of a function in another object or in the same object.
CALLED = re.compile(r"R_X86_64_(?:PLT32|PC32)\s+(\S+?)[-+]0x|\t(?:call|jmp)\s+[0-9a-f]+ <([^>+]+)>")


def functions(module):
    """The functions of a module: the lines of each, with the symbols that they refer to."""
    command = ["objdump", "-dr", "--no-show-raw-insn", str(module)]
    found, lines = {}, []
    for line in subprocess.check_output(command, text=True).splitlines():
        head = re.fullmatch(r"[0-9a-f]+ <(.*)>:", line)
        if head:
            lines = found.setdefault(head[1], [])
        else:
            lines.append(line)
    return found


def locked(module):
    """The locked instructions of all functions of the module that a request to main may call."""
    known = functions(module)
    left = [name for name in known if BEGINS.search(name)]
    if len(left) != 2:
        raise ValueError(f"{module}: not two functions to begin with but {left}")
    seen, found = set(), []
    while left:
        name = left.pop()
        if name in seen or BESIDE.search(name):
            continue
        seen.add(name)
        for line in known[name]:
            called = CALLED.search(line)
            if called:
                left += {called[1], called[2]} & known.keys()
            if LOCKED.search(line):
                found.append(f"{name}: {line.strip()}")
    return found
