"""A Unix socket in the file system: its file says who may use it."""

import os
import socket
import struct
from contextlib import suppress
from pathlib import Path

MODE = 0o660
"""The daemon's user and its group; and root, of course."""
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
_PROBE_S = 1.0


def bound(path: Path) -> socket.socket:
    """A socket that is bound there and does not listen yet. A file that a killed process left is
    replaced, so that there is one at every moment.

    Raises OSError; also where another process listens there, or a file is that is no socket.
    """
    if path.exists() and not path.is_socket():
        raise OSError(f"there is something at {path} that is no socket")
    if _is_listening(path):
        raise OSError(f"somebody listens at {path} already")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    new = path.with_name(f".{os.getpid()}.sock")
    try:
        new.unlink(missing_ok=True)
        listener.bind(str(new))
        new.chmod(MODE)  # nobody gets in before it listens
        new.replace(path)
    except OSError:
        listener.close()
        new.unlink(missing_ok=True)
        raise
    return listener


def peer_uid(connection: socket.socket) -> int:
    """Whose process connected, as the kernel says. In a user namespace (systemd's PrivateUsers=)
    everybody but root and the daemon's own user is the overflow user."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(raw)
    return int(uid)


def _is_listening(path: Path) -> bool:
    if not path.is_socket():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        with suppress(ConnectionRefusedError, FileNotFoundError):
            with suppress(BlockingIOError):  # so many wait already
                probe.connect(str(path))
            return True
    return False
