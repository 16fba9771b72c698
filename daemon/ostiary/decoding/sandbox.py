"""What the decoding process gives up before it sees a picture of a stranger: almost everything.

By libseccomp (Debian's libseccomp2, which apt itself needs) and resource limits; what is left is
to read and answer messages and to allocate memory.
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
"""To open a file, to connect anywhere, or to start a program is not among them."""
OWN_THREADS = "tgkill"
"""By which abort(3) ends the process: allowed for its own threads, and for nobody else's."""

_ALLOW = 0x7FFF0000
_KILL = 0
"""Of the thread, and there is one only. To kill the whole process has to be asked for by a system
call that the daemon's own filter forbids."""
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
    """Freed blocks of up to so many bytes, and twice as many in all, are used again: to have a
    fresh page for each of a picture's takes a third of its decoding."""
    library = ctypes.CDLL(None)
    library.mallopt(_MMAP_THRESHOLD, kept_bytes)
    library.mallopt(_TRIM_THRESHOLD, 2 * kept_bytes)


def bound_memory(more_bytes: int) -> None:
    """At most so many bytes of address space besides what is mapped already; and no core dump,
    which would hold a face."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + more_bytes, mapped + more_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def give_up_system_calls() -> None:
    """From here on any system call that is not ALLOWED ends the process. Raises OSError where
    that cannot be had."""
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
