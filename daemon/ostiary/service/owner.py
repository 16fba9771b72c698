"""Lets root work in the daemon's folder as the daemon's user: whoever took over the daemon may have
put links there, and root would follow them."""

import os
import pwd
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ostiary.errors import FileDenied

ROOT = "root"
DAEMON = "ostiary"
"""The daemon's user, as which `package/ostiary` runs where root calls it."""


def file_denied(error: OSError, command: Sequence[str], user: str) -> FileDenied:
    """The error for a file that `user` may not use, or nobody can; it says what to type instead of
    `command`."""
    where = "a file" if error.filename is None else error.filename
    if not isinstance(error, PermissionError) or user == ROOT:
        return FileDenied(f"{where}: {error.strerror or error}.")
    if user == DAEMON:
        return FileDenied(
            f"The door's own user, {user}, may not use {where}: name a place where it may, such as "
            "/var/tmp, and move it from there."
        )
    typed = shlex.join([Path(command[0]).name, *command[1:]])
    return FileDenied(f"{user} may not use {where}. Type: sudo {typed}")


def this_user() -> str:
    """The name of the user who runs this, or the number where there is none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


@contextmanager
def as_owner_of(folder: Path) -> Iterator[None]:
    """Run the block as the folder's owner, where root runs this and somebody else owns it."""
    owner = folder.stat() if folder.is_dir() else None
    if os.geteuid() != 0 or owner is None or owner.st_uid == 0:
        yield
        return
    groups = os.getgroups()
    os.setgroups(_groups_of(owner.st_uid, owner.st_gid))
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def is_so_for_owner_of(folder: Path, check: Callable[[], bool]) -> bool:
    """The result of `check`, run in a process of the folder's owner where root runs this and
    somebody else owns it. That process cannot become root again, as a block of `as_owner_of` can:
    it is for reading a stranger's bytes, such as a camera's."""
    owner = folder.stat() if folder.is_dir() else None
    if os.geteuid() != 0 or owner is None or owner.st_uid == 0:
        return check()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = os.EX_SOFTWARE
        try:
            os.setgroups(_groups_of(owner.st_uid, owner.st_gid))
            os.setgid(owner.st_gid)
            os.setuid(owner.st_uid)
            status = os.EX_OK if check() else 1
        except Exception:  # noqa: BLE001 - it would end here without a word
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == os.EX_OK


def _groups_of(user: int, group: int) -> list[int]:
    try:
        return os.getgrouplist(pwd.getpwuid(user).pw_name, group)
    except KeyError:
        return [group]
