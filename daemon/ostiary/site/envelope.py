"""A message of a site, sealed with the site's key (AES-256-GCM) and signed by its writer (Ed25519).

It is a line of JSON that anybody may read, a line feed, and the sealed content. The seal and the
signature cover the topic and the version, too: a message does not hold under another topic, nor as
another version.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from typing import Annotated

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import Field, ValidationError

from ostiary.crypto.identity import from_text, is_signed, to_text
from ostiary.messages.events import Message
from ostiary.site.members import MemberRole, Membership, Refusal, Refused
from ostiary.site.versions import Version

FORMAT = 1
LARGEST = 64 * 1024
"""The most bytes of a message: dozens of templates."""
NONCE_BYTES = 12
AHEAD_MS = 24 * 3600 * 1000
"""How far a version may be ahead of this door's clock, since the newest version holds."""
_CONTEXT = b"ostiary-site-message-1\n"


class Header(Message):
    """The part of a message that anybody may read."""

    format: int
    topic: str
    version: Annotated[str, Field(pattern=r"^[0-9a-f]{12}-[0-9a-f]{4}-[0-9a-f]{16}$")]
    key: int = Field(description="Number of the site's key.")
    signature: str = Field(description="Ed25519 in base64, by the member in `version`.")


@dataclass(frozen=True, slots=True)
class Opened:
    """A message that is believed, opened. `digest`: SHA-256 of its payload."""

    version: Version
    content: bytes
    digest: bytes


def digest_of_payload(payload: bytes) -> bytes:
    """The SHA-256 of a message, 32 bytes, by which it is recognised."""
    return hashlib.sha256(payload).digest()


def write(membership: Membership, topic: str, version: Version, content: bytes) -> bytes:
    """Seal and sign `content` as this member, with the site's key in use."""
    key = membership.members.key
    bound = _bound(topic, str(version), key)
    nonce = os.urandom(NONCE_BYTES)
    sealed = nonce + membership.seals[key].encrypt(nonce, content, bound)
    signature = membership.identity.sign(_signed_text(bound, sealed))
    header = Header(
        format=FORMAT,
        topic=topic,
        version=str(version),
        key=key,
        signature=to_text(signature),
    )
    return header.model_dump_json().encode() + b"\n" + sealed


def read(
    membership: Membership,
    topic: str,
    payload: bytes,
    now_ms: int,
    roles: frozenset[MemberRole] = frozenset({MemberRole.ENROLLER}),
) -> Opened:
    """Open a message, if a member in one of `roles` wrote it for `topic`. `now_ms`: this door's
    clock. Raises Refused."""
    header, sealed = _split(payload)
    if header.topic != topic:
        raise Refused(Refusal.MOVED)
    version = Version.parse(header.version)
    signer = membership.signers.get(version.member)
    if signer is None:
        raise Refused(Refusal.SIGNER_UNKNOWN)
    bound = _bound(topic, header.version, header.key)
    try:
        signature = from_text(header.signature)
    except ValueError as error:
        raise Refused(Refusal.MALFORMED) from error
    if not is_signed(_signed_text(bound, sealed), signature, from_text(signer.public)):
        raise Refused(Refusal.SIGNATURE_WRONG)
    if signer.role is MemberRole.REVOKED and MemberRole.REVOKED not in roles:
        raise Refused(Refusal.SIGNER_REVOKED)
    if signer.role not in roles:
        raise Refused(Refusal.ROLE_MISSING)
    if version.millis > now_ms + AHEAD_MS:
        raise Refused(Refusal.CLOCK_AHEAD)
    seal = membership.seals.get(header.key)
    if seal is None:
        raise Refused(Refusal.KEY_UNKNOWN)
    return Opened(version, _unsealed(seal, header, topic, sealed), digest_of_payload(payload))


def read_again(membership: Membership, topic: str, payload: bytes) -> Opened:
    """Open a message that was believed when it came, whoever was revoked since. Raises Refused."""
    header, sealed = _split(payload)
    version = Version.parse(header.version)
    seal = membership.seals.get(header.key)
    if seal is None:
        raise Refused(Refusal.KEY_UNKNOWN)
    return Opened(version, _unsealed(seal, header, topic, sealed), digest_of_payload(payload))


def key_number(payload: bytes) -> int:
    """The number of the site's key that seals a message. Raises Refused."""
    return _split(payload)[0].key


def version_of(payload: bytes) -> Version:
    """The version of a message. Raises Refused."""
    return Version.parse(_split(payload)[0].version)


def _split(payload: bytes) -> tuple[Header, bytes]:
    if len(payload) > LARGEST:
        raise Refused(Refusal.OVERSIZED)
    head, _, sealed = payload.partition(b"\n")
    _check_format(head)
    try:
        return Header.model_validate_json(head), sealed
    except ValidationError as error:
        raise Refused(Refusal.MALFORMED) from error


def _check_format(head: bytes) -> None:
    try:
        format_ = json.loads(head)["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused(Refusal.MALFORMED) from error
    if format_ != FORMAT:
        raise Refused(Refusal.FORMAT_UNKNOWN)


def _unsealed(seal: AESGCM, header: Header, topic: str, sealed: bytes) -> bytes:
    bound = _bound(topic, header.version, header.key)
    try:
        return seal.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError) as error:
        raise Refused(Refusal.SEAL_BROKEN) from error


def _bound(topic: str, version: str, key: int) -> bytes:
    return f"{FORMAT}\n{topic}\n{version}\n{key}".encode()


def _signed_text(bound: bytes, sealed: bytes) -> bytes:
    return _CONTEXT + bound + b"\n" + hashlib.sha256(sealed).digest()
