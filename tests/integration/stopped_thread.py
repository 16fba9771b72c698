"""Stop one thread of a running process, as a hang in a library would: ptrace(2)."""

import ctypes
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000
WATCHED_S = 2.0


def busiest_thread(pid: int) -> int:
    """The thread, other than the main one, that uses most of the processor now."""
    before = _used(pid)
    time.sleep(WATCHED_S)
    after = _used(pid)
    spent = {thread: ticks - before.get(thread, 0) for thread, ticks in after.items()}
    return max((thread for thread in spent if thread != pid), key=spent.__getitem__)


@contextmanager
def stopped(thread: int) -> Iterator[None]:
    """The thread does nothing while the block runs. It may be killed meanwhile."""
    _ptrace(PTRACE_SEIZE, thread)
    _ptrace(PTRACE_INTERRUPT, thread)
    # Its process is not gone before somebody has taken note of its death.
    mourner = threading.Thread(target=_mourn, args=(thread,), daemon=True)
    mourner.start()
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            _ptrace(PTRACE_DETACH, thread)


def _mourn(thread: int) -> None:
    with suppress(ChildProcessError):
        while os.WIFSTOPPED(os.waitpid(thread, WALL)[1]):
            pass


def _used(pid: int) -> dict[int, int]:
    """Ticks of each thread in user mode."""
    return {
        int(task.name): int((task / "stat").read_text().rpartition(")")[2].split()[11])
        for task in Path(f"/proc/{pid}/task").iterdir()
    }


def _ptrace(request: int, thread: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(request, thread, None, None) == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
