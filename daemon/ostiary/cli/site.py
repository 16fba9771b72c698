"""`ostiary site`: one roster for many doors (docs/site.md)."""

import json
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostiary.cli.options import ConfigOption, open_database, read_settings
from ostiary.errors import ConfigError, InvitationInvalid, SiteNotJoined, SiteRefused
from ostiary.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from ostiary.cli.site_connection import SiteConnection
    from ostiary.crypto.identity import Identity
    from ostiary.site.members import MemberRole, Membership
    from ostiary.store.database import Database

site = typer.Typer(help="One roster for many doors.", no_args_is_help=True)

RoleOption = Annotated[
    str, typer.Option(help="enroller: may change people. door: knows them, changes nobody.")
]

ASK_EVERY_S = 2.0


@site.command()
def init(
    config: ConfigOption = None,
    door: Annotated[bool, typer.Option(help="This machine is a door of the site, too.")] = True,
) -> None:
    """Begin a site: make the key-holder's key here, and admit this door."""
    from ostiary.cli.site_authority import SiteAuthority
    from ostiary.site.members import MemberRole

    settings, name = _settings(config)
    path = _authority_file(settings)
    with _connect(settings, name) as connection, _in_folder_of_key(settings):
        authority = _authority(settings, make=True)
        site_authority = SiteAuthority.begin(
            authority, name, _members_file(path), connection, _now()
        )
        if door:
            own = _own_identity(settings)
            site_authority.admit(
                connection, settings.device.id, MemberRole.ENROLLER, own.public, own.box, _now()
            )
            _remember(settings, name, authority.public, site_authority.payload)
    typer.echo(f"The site {name} has begun. Its key-holder's key: {path}")
    typer.echo("Keep a copy of that file where no door is: who has it decides who belongs to it.")
    if door:
        typer.echo("This door belongs to it. Further ones: `ostiary site admit NAME`.")


@site.command()
def admit(
    door: Annotated[str, typer.Argument(help="How the door is to be called.")],
    config: ConfigOption = None,
    role: RoleOption = "door",
    minutes: Annotated[float, typer.Option(min=0.05, max=120, help="Wait so long for it.")] = 10.0,
) -> None:
    """Invite a door: shows a code to be typed there, once, and waits for it."""
    from ostiary.cli.site_authority import SiteAuthority
    from ostiary.crypto.identity import fingerprint, from_text, to_text
    from ostiary.site.invitation import Invitation, JoinAnswer, JoinAsk, new_code
    from ostiary.site.members import Refused

    settings, name = _settings(config)
    wanted = _role(role)
    authority = _authority(settings)
    path = _members_file(_authority_file(settings))
    code = new_code()
    invitation = Invitation.of(code, name)
    with _connect(settings, name) as connection, _in_folder_of_key(settings):
        site_authority = SiteAuthority.open(authority, name, path, connection)
        asking, answering = (connection.topics.asking, connection.topics.answering)
        connection.listen(asking(invitation.tag))
        typer.echo(f"On the door {door}, within {minutes:g} minutes:  ostiary site join {code}")
        _show_qr(code)
        until = time.monotonic() + minutes * 60
        while (left := until - time.monotonic()) > 0:
            payload = connection.next(asking(invitation.tag), left)
            if payload is None:
                break
            try:
                ask = JoinAsk.model_validate_json(
                    invitation.opened(payload, asking(invitation.tag))
                )
            except (Refused, ValueError):
                typer.echo(
                    "Somebody without the code answers to it; nothing was believed.", err=True
                )
                continue
            public, box = from_text(ask.public), from_text(ask.box)
            site_authority.admit(connection, door, wanted, public, box, _now())
            answer = JoinAnswer(
                authority=to_text(authority.public), members=site_authority.payload.decode("ascii")
            )
            topic = answering(invitation.tag)
            sealed = invitation.sealed(answer, topic)
            for _ in range(3):  # it may just be away from its broker
                connection.say(topic, sealed)
                time.sleep(0.3)
            typer.echo(f"{door} belongs to {name} ({wanted.value}).")
            typer.echo(f"Its key is {fingerprint(public)}. Does the door show the same?")
            return
    raise InvitationInvalid("Nobody came with the code; nothing was changed.")


@site.command()
def join(
    code: Annotated[str, typer.Argument(help="What `ostiary site admit` showed.")],
    config: ConfigOption = None,
    seconds: Annotated[float, typer.Option(min=1, help="Wait so long for the answer.")] = 60.0,
) -> None:
    """Make this door one of the site in the settings; the daemon may be running."""
    from ostiary.crypto.identity import fingerprint, from_text, to_text
    from ostiary.site.invitation import Invitation, JoinAnswer, JoinAsk
    from ostiary.site.members import Refused, read_members

    settings, name = _settings(config)
    try:
        invitation = Invitation.of(code, name)
    except ValueError as error:
        raise InvitationInvalid(str(error)) from error
    own = _own_identity(settings)
    ask = JoinAsk(name=settings.device.id, public=to_text(own.public), box=to_text(own.box))
    with _connect(settings, name) as connection:
        asking, answering = (
            connection.topics.asking(invitation.tag),
            connection.topics.answering(invitation.tag),
        )
        connection.listen(answering)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            connection.say(asking, invitation.sealed(ask, asking))
            payload = connection.next(answering, ASK_EVERY_S)
            if payload is None:
                continue
            try:
                answer = JoinAnswer.model_validate_json(invitation.opened(payload, answering))
                authority, signed = from_text(answer.authority), answer.members.encode()
                members = read_members(signed, authority, name)
            except (Refused, ValueError):
                continue
            member = members.get(own.id)
            if member is None:
                continue
            _remember(settings, name, authority, signed)
            typer.echo(f"This door belongs to {name} as {member.name} ({member.role.value}).")
            typer.echo(f"Its key is {fingerprint(own.public)}, the key-holder's")
            typer.echo(f"           {fingerprint(authority)}.")
            return
    raise InvitationInvalid(
        "Nobody answers to that code. Is `ostiary site admit` still waiting, is site.id the same "
        "there, and the broker?"
    )


@site.command()
def revoke(
    door: Annotated[str, typer.Argument(help="Its name, as `ostiary site status` shows it.")],
    config: ConfigOption = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            help="Delete whomever it enrolled or changed, but for what this machine heard of before"
            " (UTC); and undo what it deleted since."
        ),
    ] = None,
) -> None:
    """Believe nothing more of a door; the site's key is changed."""
    from ostiary.cli.site_authority import SiteAuthority

    settings, name = _settings(config)
    authority = _authority(settings)
    path = _members_file(_authority_file(settings))
    moment = None if since is None else since.replace(tzinfo=since.tzinfo or UTC)
    with _connect(settings, name) as connection, _in_folder_of_key(settings):
        site_authority = SiteAuthority.open(authority, name, path, connection)
        done = site_authority.revoke(connection, door, moment, _now(), _heard(settings, name))
    typer.echo(f"{door} is revoked. {done.people} people signed anew, {done.removed} deleted.")
    if done.refused:
        typer.echo(f"{done.refused} messages were of nobody of the site, and are not believed.")
    typer.echo("Take its rights at the broker away as well, and what it could open besides.")


@site.command("rotate-key")
def rotate_key(config: ConfigOption = None) -> None:
    """Change the site's key; everybody is sealed and signed anew."""
    from ostiary.cli.site_authority import SiteAuthority

    settings, name = _settings(config)
    authority = _authority(settings)
    with _connect(settings, name) as connection, _in_folder_of_key(settings):
        site_authority = SiteAuthority.open(
            authority, name, _members_file(_authority_file(settings)), connection
        )
        done = site_authority.rotate(connection, _now())
    typer.echo(f"Key {site_authority.members.key} is in use. {done.people} people sealed anew.")


@site.command()
def status(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """All doors of the site in one table."""
    from rich.console import Console

    from ostiary.cli.site_connection import look, table_of
    from ostiary.site.doors import CONFIRM_WITHIN_S

    settings, name = _settings(config)
    with _connect(settings, name) as connection:
        found = look(connection, _membership(settings, name), CONFIRM_WITHIN_S, _now())
    if as_json:
        typer.echo(json.dumps(found.as_json(), ensure_ascii=False, default=str))
    else:
        Console().print(table_of(found))
        for line in found.remarks:
            typer.echo(line)


@site.command()
def leave(config: ConfigOption = None) -> None:
    """Let this door be on its own again: its people stay, and hear of no changes any more."""
    from ostiary.store.site import SiteStore

    settings, name = _settings(config)
    with _database(settings) as database:
        SiteStore(database).leave()
    typer.echo(f"This door is on its own. Remove site.id, and revoke it where {name} is kept.")


def _settings(config: Path | None) -> tuple[Settings, str]:
    settings = read_settings(config, "error")
    if settings.site.id is None:
        raise ConfigError('Set the site\'s name first:\n[site]\nid = "campus"')
    return settings, settings.site.id


def _now() -> datetime:
    return datetime.now(UTC)


def _role(text: str) -> "MemberRole":
    from ostiary.site.members import MemberRole

    if text not in (MemberRole.DOOR, MemberRole.ENROLLER):
        raise ConfigError(f"--role is {MemberRole.ENROLLER} or {MemberRole.DOOR}.")
    return MemberRole(text)


def _connect(settings: Settings, name: str) -> "SiteConnection":
    from dataclasses import replace

    from ostiary.cli.door import new_client_id
    from ostiary.cli.site_connection import WINDOW, SiteConnection
    from ostiary.mqtt.broker import login_of
    from ostiary.site.topics import SiteTopics

    login = replace(login_of(settings, new_client_id()), clean=True, receive_maximum=WINDOW)
    return SiteConnection(login, SiteTopics(name))


def _authority_file(settings: Settings) -> Path:
    return settings.site.authority_file or settings.store.path.with_name("site-authority.key")


def _members_file(authority_file: Path) -> Path:
    return authority_file.with_suffix(".members")


def _authority(settings: Settings, *, make: bool = False) -> "Identity":
    """Raises SiteRefused where the key-holder's key is not here."""
    from ostiary.crypto.door_key import DoorKey
    from ostiary.crypto.identity import Identity
    from ostiary.service.owner import as_owner_of

    path = _authority_file(settings)
    if not make and not path.exists():
        raise SiteRefused(
            f"{path}: the key-holder's key is not here. Run this where `ostiary site init` was run."
        )
    with as_owner_of(path.parent):
        return Identity.of(DoorKey.load_or_make(path).private)


def _in_folder_of_key(settings: Settings) -> "AbstractContextManager[None]":
    """Run a block as the owner of the folder with the key-holder's key and list."""
    from ostiary.service.owner import as_owner_of

    return as_owner_of(_authority_file(settings).parent)


@contextmanager
def _database(settings: Settings) -> "Iterator[Database]":
    """The database, opened or made as the owner of its folder."""
    from ostiary.service.owner import as_owner_of

    with as_owner_of(settings.store.path.parent), open_database(settings) as database:
        yield database


def _own_identity(settings: Settings) -> "Identity":
    """This door's identity; its key is made if need be, as the owner of its folder."""
    from ostiary.crypto.identity import Identity
    from ostiary.mqtt.security import door_key
    from ostiary.service.owner import as_owner_of

    with as_owner_of(settings.store.path.parent):
        return Identity.of(door_key(settings).private)


def _remember(settings: Settings, name: str, authority: bytes, members: bytes) -> None:
    from ostiary.store.site import JoinedSite, SiteStore

    with _database(settings) as database:
        SiteStore(database).join(JoinedSite(name, authority, members), _now())


def _membership(settings: Settings, name: str) -> "Membership":
    """The site as this door knows it, or as the key-holder does. Raises SiteNotJoined."""
    from ostiary.site.members import Membership, read_members
    from ostiary.store.site import SiteStore

    if settings.store.path.exists():
        with _database(settings) as database:
            joined = SiteStore(database).joined()
        if joined is not None and joined.site == name:
            members = read_members(joined.members, joined.authority, name)
            own = _own_identity(settings)
            return Membership.of(joined.authority, members, own)
    path = _members_file(_authority_file(settings))
    if path.exists():
        authority = _authority(settings)
        with _in_folder_of_key(settings):
            members = read_members(path.read_bytes(), authority.public, name)
        return Membership.of(authority.public, members, authority)
    raise SiteNotJoined(f"This machine knows nothing of {name}: join it, or bring its key here.")


def _heard(settings: Settings, name: str) -> "Callable[[str], datetime | None]":
    """When this machine heard of a person; None for all where it is no door of the site."""
    from ostiary.store.site import SiteStore

    if not settings.store.path.exists():
        return lambda _: None
    with _database(settings) as database:
        store = SiteStore(database)
        joined = store.joined()
        if joined is None or joined.site != name:
            return lambda _: None
        return store.heard_of_all().get


def _show_qr(code: str) -> None:
    """Show the code as a QR code, where `segno` is installed (the extra `site`)."""
    try:
        import segno
    except ImportError:
        return
    import sys

    if sys.stdout.isatty():
        segno.make(code, error="m").terminal(compact=True)
