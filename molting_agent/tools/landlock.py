"""Landlock: this process and its children see of the file system only what is named, and reach nobody outside.

System calls 444 to 446 through ctypes, structures as in ``linux/landlock.h``; every right that the kernel knows is
handled, so that what is not allowed here is refused.
"""

import ctypes
import os
import platform
from collections.abc import Iterable
from pathlib import Path

NEEDED_ABI = 3
"""Before it (Linux 6.2) files outside could be cut short: truncation was not looked at."""
SIGNALS_ABI = 6
"""From it on (Linux 6.12) signals and abstract sockets stay inside."""

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_RIGHTS_OF_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_TCP = 3
_SCOPES = 3


class _Ruleset(ctypes.Structure):
    _fields_ = [
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    ]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32)]


def abi() -> int:
    """The version of Landlock in this kernel; 0 where there is none."""
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"):
        return 0
    return max(0, _libc().syscall(_CREATE, None, 0, 1))


def restrict(readable: Iterable[Path], writable: Iterable[Path]) -> None:
    """From here on: read and execute below ``readable``, everything below ``writable``, nothing else. Errors: OSError.

    no_new_privs must be set. Paths that do not exist are left out. No TCP where the kernel knows of it.
    """
    version = abi()
    rights = _RIGHTS_OF_ABI[min(max(version, 1), 5)]
    ruleset = _Ruleset(rights, _TCP if version >= 4 else 0, _SCOPES if version >= SIGNALS_ABI else 0)
    size = 24 if version >= SIGNALS_ABI else 16 if version >= 4 else 8
    descriptor = _checked(_libc().syscall(_CREATE, ctypes.byref(ruleset), size, 0))
    look = _EXECUTE | _READ_FILE | _READ_DIR
    for paths, allowed in ((readable, look), (writable, rights & ~_IOCTL)):
        for path in paths:
            _allow(descriptor, path, allowed & rights)
    _checked(_libc().syscall(_RESTRICT, descriptor, 0))
    os.close(descriptor)


def _allow(ruleset: int, path: Path, allowed: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    rule = _Beneath(allowed if path.is_dir() else allowed & _OF_FILES, place)
    _checked(_libc().syscall(_ADD, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0))
    os.close(place)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "landlock")
    return result
