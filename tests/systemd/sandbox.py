"""Run a command under a unit's system call rules, without a booted systemd.

Usage: python sandbox.py UNIT COMMAND ARGUMENT...

Builds the same seccomp filter that systemd would from the unit's SystemCallFilter= and
MemoryDenyWriteExecute= (through libseccomp, the library that systemd uses), then becomes the
command.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

ALLOW, ERRNO_EPERM, MASKED_EQUAL, PROT_EXEC, PROT_WRITE = 0x7FFF0000, 0x00050001, 7, 4, 2
SHM_EXEC = 0o100000


class Comparison(ctypes.Structure):
    """libseccomp's scmp_arg_cmp: argument `arg` & `mask` == `value`."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("mask", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
    )


def calls_of(group: str) -> set[str]:
    """The system calls in one of systemd's groups."""
    if not group.startswith("@"):
        return {group}
    listing = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", group],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    names = [line.strip() for line in listing[1:]]
    calls: set[str] = set()
    for name in names:
        if name and not name.startswith("#"):
            calls |= calls_of(name)
    return calls


def allowed_calls(unit: Path) -> set[str]:
    """What the unit's SystemCallFilter= lines leave."""
    allowed: set[str] = set()
    for line in unit.read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "SystemCallFilter":
            named = set().union(*(calls_of(group) for group in value.lstrip("~").split()))
            allowed = allowed - named if value.startswith("~") else allowed | named
    # systemd itself always adds what is needed to start a program.
    return allowed | calls_of("@default") | {"execve"}


def install(unit: Path) -> None:
    """Put this process, and all it becomes, under the unit's rules."""
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
    library.seccomp_load.argtypes = [ctypes.c_void_p]
    library.seccomp_rule_add_array.argtypes = [
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint),
        ctypes.POINTER(Comparison),
    ]

    def rule(context: int, action: int, call: str, *tests: Comparison) -> None:
        number = library.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:
            array = (Comparison * len(tests))(*tests)
            if library.seccomp_rule_add_array(context, action, number, len(tests), array) != 0:
                raise OSError(f"no rule for {call}")

    writing = library.seccomp_init(ERRNO_EPERM)
    for call in allowed_calls(unit):
        rule(writing, ALLOW, call)
    filters = [writing]
    if "MemoryDenyWriteExecute=yes" in unit.read_text().splitlines():
        both = PROT_EXEC | PROT_WRITE
        memory = library.seccomp_init(ALLOW)
        rule(memory, ERRNO_EPERM, "mmap", Comparison(2, MASKED_EQUAL, both, both))
        for call in ("mprotect", "pkey_mprotect"):
            rule(memory, ERRNO_EPERM, call, Comparison(2, MASKED_EQUAL, PROT_EXEC, PROT_EXEC))
        rule(memory, ERRNO_EPERM, "shmat", Comparison(2, MASKED_EQUAL, SHM_EXEC, SHM_EXEC))
        # The first filter may forbid loading another one, so the narrower goes first.
        filters.insert(0, memory)
    for context in filters:
        if library.seccomp_load(context) != 0:
            raise OSError("the filter was not taken")


if __name__ == "__main__":
    install(Path(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606
