# SPDX-License-Identifier: GPL-2.0
"""Counts the locked instructions that a request to main meets in the module, by its machine code."""

import re
import subprocess

# Where the way begins, and what lies beside it: requests with entries, errors, and those that the target ends.
BEGINS = re.compile(r"vtable.*(3map|6end_io)")
BESIDE = re.compile(r"map_by_entries|6Target6failed|bio_reset_completion")
# An exchange with memory is locked without saying so, and what of the kernel the module calls may be locked.
LOCKED = re.compile(r"\tlock |\txchg .*\(|rust_helper_(?:atomic\w*_(?:add|sub|inc|dec|and|or|xor|xchg|cmpxchg|try|fetch)|refcount|spin_|mutex_)")
# A call of what another object or the same one has.
CALLED = re.compile(r"R_X86_64_(?:PLT32|PC32)\s+(\S+?)[-+]0x|\t(?:call|jmp)\s+[0-9a-f]+ <([^>+]+)>")


def functions(module):
    """The functions of a module: for each its lines, with the symbols that they refer to."""
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
