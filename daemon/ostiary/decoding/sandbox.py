"""Takes almost everything from the decoding process before it sees a stranger's picture.

It is done by libseccomp (Debian's libseccomp2, which apt itself needs) and resource limits. The
process can still read and answer messages and allocate memory.
"""

import ctypes
import os
import resource
from pathlib import Path

ALLOWED = (
    "brk",
    "clock_gettime",
    "close",
    "exit",
    "exit_group",
    "futex",
    "getpid",
    "getrandom",
    "gettid",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "read",
    "recvfrom",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_yield",
    "sendto",
    "setitimer",
    "sigaltstack",
    "write",
)
"""Opening a file, connecting anywhere and starting a program are not among them."""
OWN_THREADS = "tgkill"
"""The call by which abort(3) ends the process: allowed for its own threads only."""

_ALLOW = 0x7FFF0000
_KILL = 0
"""Kills the thread, of which there is one. Killing the whole process needs a system call that the
daemon's own filter forbids."""
_UNKNOWN_HERE = -1


class _Comparison(ctypes.Structure):
    """struct scmp_arg_cmp of seccomp(3): an argument that must be equal to a number."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operation", ctypes.c_int),
        ("number", ctypes.c_uint64),
        ("unused", ctypes.c_uint64),
    )


_EQUAL = 4


# mallopt(3)
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3


def keep_memory(kept_bytes: int) -> None:
    """Use freed blocks of up to so many bytes again, and twice as many in all: fresh pages for each
    picture take a third of the decoding time."""
    library = ctypes.CDLL(None)
    library.mallopt(_MMAP_THRESHOLD, kept_bytes)
    library.mallopt(_TRIM_THRESHOLD, 2 * kept_bytes)


def bound_memory(more_bytes: int) -> None:
    """Limit the address space to so many bytes more than is mapped, and permit no core dump, which
    would hold a face."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + more_bytes, mapped + more_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def give_up_system_calls() -> None:
    """Let any system call that is not ALLOWED end the process from here on. Raises OSError where
    the filter cannot be installed."""
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_load.argtypes = [ctypes.c_void_p]
    library.seccomp_rule_add.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
    ]
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Comparison),
    ]
    context = library.seccomp_init(_KILL)
    if not context:
        raise OSError("libseccomp makes no filter here.")
    for name in ALLOWED:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number == _UNKNOWN_HERE:  # not on this architecture
            continue
        if (code := library.seccomp_rule_add(context, _ALLOW, number, 0)) != 0:
            raise OSError(-code, f"the system call {name} cannot be allowed")
    own = _Comparison(0, _EQUAL, os.getpid(), 0)
    number = library.seccomp_syscall_resolve_name(OWN_THREADS.encode())
    if (code := library.seccomp_rule_add_array(context, _ALLOW, number, 1, ctypes.byref(own))) != 0:
        raise OSError(-code, f"the system call {OWN_THREADS} cannot be allowed")
    if (code := library.seccomp_load(context)) != 0:
        raise OSError(-code, "the filter of system calls is not taken by this kernel")
