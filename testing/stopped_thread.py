"""Stop threads of a running process, as a hang in a library would: ptrace(2)."""

import ctypes
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000


def all_but_main(pid: int) -> list[int]:
    """The threads of a process, without the one that has its number."""
    return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir() if task.name != str(pid)]


@contextmanager
def stopped(threads: Sequence[int]) -> Iterator[None]:
    """The threads do nothing while the block runs. They may be killed meanwhile."""
    for thread in threads:
        _ptrace(PTRACE_SEIZE, thread)
        _ptrace(PTRACE_INTERRUPT, thread)
        # Its process is not gone before somebody has taken note of its death.
        threading.Thread(target=_mourn, args=(thread,), daemon=True).start()
    try:
        yield
    finally:
        for thread in threads:
            with suppress(ProcessLookupError):
                _ptrace(PTRACE_DETACH, thread)


def _mourn(thread: int) -> None:
    with suppress(ChildProcessError):
        while os.WIFSTOPPED(os.waitpid(thread, WALL)[1]):
            pass


def _ptrace(request: int, thread: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(request, thread, None, None) == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
