"""Somebody who took over the daemon waits in its folder, with links, for root to write there."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ostiary.cli.door import new_client_id
from ostiary.cli.site_authority import SiteAuthority
from ostiary.cli.site_connection import WINDOW, SiteConnection
from ostiary.crypto.door_key import DoorKey
from ostiary.errors import OstiaryError
from ostiary.mqtt.broker import Login
from ostiary.service.owner import as_owner_of, is_so_for_owner_of
from ostiary.site.members import first_members
from ostiary.site.topics import SiteTopics
from ostiary.store.backup import backup, beside, copy_of
from ostiary.store.database import Database
from testing.broker import Mosquitto
from testing.site_doors import BEGIN, SITE, new_identity

DAEMON = 65534  # nobody
OURS = b"root's own, and nobody else's"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be misled")


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A file of root's, which is as it was afterwards."""
    path = tmp_path / "victim"
    path.write_bytes(OURS)
    path.chmod(0o644)
    yield path
    assert path.read_bytes() == OURS
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The daemon's."""
    made = tmp_path / "ostiary"
    made.mkdir()
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.name.startswith(("pytest-", "popen-")):  # the latter are xdist's
            parent.chmod(0o755)
    os.chown(made, DAEMON, DAEMON)
    return made


def becomes_root() -> bool:
    os.seteuid(0)
    return True


@as_root
def test_what_reads_a_cameras_bytes_cannot_become_root_again(folder: Path) -> None:
    assert is_so_for_owner_of(folder, lambda: os.getresuid() == (DAEMON, DAEMON, DAEMON))
    assert is_so_for_owner_of(folder, lambda: os.getresgid() == (DAEMON, DAEMON, DAEMON))
    assert not is_so_for_owner_of(folder, becomes_root)
    assert os.getresuid() == (0, 0, 0)


@pytest.mark.parametrize("dangling", [True, False], ids=["to nothing", "to a file"])
def test_the_list_of_members_is_written_through_no_link(
    tmp_path: Path, victim: Path, folder: Path, *, dangling: bool
) -> None:
    target = tmp_path / "made" if dangling else victim
    members = folder / "site-authority.members"
    for end in (".new", ""):
        (folder / f"{members.name}{end}").symlink_to(target)
    authority = new_identity()
    office = SiteAuthority(authority, first_members(authority, "key-holder", SITE, BEGIN), members)
    with Mosquitto(tmp_path / "broker") as broker:
        login = Login("127.0.0.1", broker.port, new_client_id(), 30, 0, WINDOW, 10**6, clean=True)
        with SiteConnection(login, SiteTopics(SITE)) as desk:
            office._sign(desk, office.members)
    assert not (tmp_path / "made").exists()
    assert members.is_file()
    assert not members.is_symlink()


def test_a_key_is_made_through_no_link(tmp_path: Path, victim: Path, folder: Path) -> None:
    for target in (victim, tmp_path / "made"):
        path = folder / "door.key"
        path.unlink(missing_ok=True)
        path.symlink_to(target)
        with pytest.raises(OstiaryError):
            DoorKey.load_or_make(path)
        assert not (tmp_path / "made").exists()


def test_a_backup_is_written_through_nothing_that_was_put_there(
    tmp_path: Path, victim: Path, folder: Path
) -> None:
    """The names that it had before were to be guessed: of the target and the process."""
    Database.open(tmp_path / "door.db").close()
    target = folder / "copy.db"
    for number in range(os.getpid() - 3, os.getpid() + 200):
        (folder / f".{target.name}.{number}.part").symlink_to(victim)
    backup(tmp_path / "door.db", target)
    assert target.stat().st_size > 0
    with beside(target) as copy:
        assert copy.parent.stat().st_mode & 0o777 == 0o700
        copy_of(tmp_path / "door.db", copy)


def test_the_lock_of_the_database_is_no_link(tmp_path: Path, victim: Path, folder: Path) -> None:
    for target in (victim, tmp_path / "made"):
        lock = folder / "door.db.lock"
        lock.unlink(missing_ok=True)
        lock.symlink_to(target)
        with pytest.raises(OstiaryError):
            Database.open(folder / "door.db")
        assert not (tmp_path / "made").exists()


@as_root
def test_in_the_daemons_folder_root_is_the_daemon_and_root_again_after(
    tmp_path: Path, victim: Path, folder: Path
) -> None:
    with as_owner_of(folder):
        assert (os.geteuid(), os.getegid(), os.getgroups()) == (DAEMON, DAEMON, [DAEMON])
        (folder / "made").write_text("x")
        with pytest.raises(PermissionError):
            victim.write_bytes(b"")
        with as_owner_of(tmp_path):  # it is not root's to be again in between
            assert os.geteuid() == DAEMON
    assert (os.geteuid(), os.getegid()) == (0, 0)
    assert (folder / "made").stat().st_uid == DAEMON
    with as_owner_of(tmp_path), as_owner_of(tmp_path / "nowhere"):
        assert os.geteuid() == 0


COMMANDS = """
import sys
from importlib import import_module
for each in sys.argv[1].split():  # the interpreter's own files may be root's
    import_module(each)
from ostiary.cli.main import main
sys.argv = ["ostiary", *sys.argv[2:]]
main()
"""
NEEDED = (
    "ostiary.cli.site_authority ostiary.cli.door ostiary.cli.site_connection "
    "ostiary.store.site ostiary.store.database ostiary.mqtt.security ostiary.mqtt.broker "
    "ostiary.service.owner ostiary.crypto.door_key ostiary.site.topics encodings.ascii "
    "encodings.idna importlib.readers importlib.resources mnemonic "
    "sqlite3.dbapi2 ostiary.store.credentials"
)


@as_root
def test_sudo_ostiary_site_writes_nothing_as_root(tmp_path: Path, folder: Path) -> None:
    """The real command, with links under every name that it writes."""
    link = tmp_path / "made by root"
    for name in ("ostiary.db.lock", "site-authority.members.new", "site-authority.members"):
        (folder / name).symlink_to(link)
    with Mosquitto(tmp_path / "broker") as broker:
        config = tmp_path / "ostiary.toml"
        config.write_text(
            f'[device]\nid = "door"\n[mqtt]\nport = {broker.port}\n[site]\nid = "campus"\n'
            f'[store]\npath = "{folder}/ostiary.db"\n'
        )
        command = [sys.executable, "-c", COMMANDS, NEEDED, "site", "init", "--config", str(config)]
        subprocess.run(command, check=False, capture_output=True)
        assert not link.exists()
        (folder / "ostiary.db.lock").unlink(missing_ok=True)
        shutil.rmtree(tmp_path / "broker", ignore_errors=True)
    with Mosquitto(tmp_path / "second") as broker:
        config.write_text(config.read_text().replace("port = ", f"port = {broker.port} # "))
        for left in folder.iterdir():
            left.unlink()
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    owners = {each.name: each.stat().st_uid for each in folder.iterdir()}
    assert owners.keys() >= {"ostiary.db", "site-authority.key", "site-authority.members"}
    assert set(owners.values()) == {DAEMON}, owners
