"""One message of a site: sealed with its key (AES-256-GCM), and signed by who wrote it (Ed25519).

A line of JSON that anybody may read, a line feed, and what is sealed. The seal and the signature
are over the topic and the version as well, so that a message holds nowhere else and is no other
version.
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
from ostiary.site.clock import Version
from ostiary.site.members import MemberRole, Membership
from ostiary.site.refusal import Refusal, Refused

FORMAT = 1
LARGEST = 64 * 1024
"""Bytes of a message, at most: dozens of templates."""
NONCE_BYTES = 12
AHEAD_MS = 24 * 3600 * 1000
"""No honest clock is so far before this one: a version of next year would hold for ever."""
_CONTEXT = b"ostiary-site-message-1\n"


class Header(Message):
    """What everybody may read."""

    format: int
    topic: str
    version: Annotated[str, Field(pattern=r"^[0-9a-f]{12}-[0-9a-f]{4}-[0-9a-f]{16}$")]
    key: int = Field(description="Number of the site's key.")
    signature: str = Field(description="Ed25519 in base64, by the member in `version`.")


@dataclass(frozen=True, slots=True)
class Opened:
    """A message that is believed."""

    version: Version
    content: bytes
    digest: bytes


def digest_of_payload(payload: bytes) -> bytes:
    """By which a message is known again: SHA-256."""
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
    """The message, if a member in one of `roles` wrote it for `topic`; `now_ms` is by one's own
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
    """A message that was believed when it came, whoever has been revoked since. Raises Refused."""
    header, sealed = _split(payload)
    version = Version.parse(header.version)
    seal = membership.seals.get(header.key)
    if seal is None:
        raise Refused(Refusal.KEY_UNKNOWN)
    return Opened(version, _unsealed(seal, header, topic, sealed), digest_of_payload(payload))


def key_number(payload: bytes) -> int:
    """Which of the site's keys seals a message of ours. Raises Refused."""
    return _split(payload)[0].key


def version_of(payload: bytes) -> Version:
    """Of a message of ours. Raises Refused."""
    return Version.parse(_split(payload)[0].version)


def _split(payload: bytes) -> tuple[Header, bytes]:
    if len(payload) > LARGEST:
        raise Refused(Refusal.OVERSIZED)
    head, _, sealed = payload.partition(b"\n")
    try:
        return Header.model_validate_json(head), _of_known_format(head, sealed)
    except ValidationError as error:
        _of_known_format(head, sealed)
        raise Refused(Refusal.MALFORMED) from error


def _of_known_format(head: bytes, sealed: bytes) -> bytes:
    try:
        format_ = json.loads(head)["format"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused(Refusal.MALFORMED) from error
    if format_ != FORMAT:
        raise Refused(Refusal.FORMAT_UNKNOWN)
    return sealed


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
