"""What one member of a site believes of another: versions, members, seals, signatures, codes."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary.crypto.identity import Identity, sealed_to
from ostiary.site.envelope import LARGEST, read, write
from ostiary.site.invitation import ALPHABET, Invitation, grouped, new_code, read_code
from ostiary.site.members import (
    MemberRole,
    Membership,
    Refusal,
    Refused,
    admitted,
    first_members,
    keys_of,
    read_members,
    revoked,
    rotated,
)
from ostiary.site.topics import SiteTopics, new_person
from ostiary.site.versions import SiteEntry, Version, following, merged, supersedes
from testing.site_doors import BEGIN, SITE, new_identity

TOPICS = SiteTopics(SITE)
NOW_MS = int(BEGIN.timestamp() * 1000)
LAST_MILLIS, LAST_COUNT = 2**48 - 1, 0xFFFF
VERSIONS = st.builds(
    Version,
    st.integers(0, LAST_MILLIS),
    st.integers(0, LAST_COUNT),
    st.text("0123456789abcdef", min_size=16, max_size=16),
)
ENTRIES = st.builds(SiteEntry, VERSIONS, st.booleans(), st.binary(min_size=32, max_size=32))


@given(VERSIONS, VERSIONS)
def test_texts_of_versions_sort_as_they_do(one: Version, other: Version) -> None:
    assert Version.parse(str(one)) == one
    assert (one < other) == (str(one) < str(other))


@given(
    VERSIONS.filter(lambda known: (known.millis, known.count) != (LAST_MILLIS, LAST_COUNT)),
    st.integers(0, 2**47),
)
def test_a_new_version_follows_all_that_were_known_whatever_the_clock(
    known: Version, now_ms: int
) -> None:
    assert following(known, now_ms, "0" * 16) > known


def test_after_the_last_version_that_can_be_written_comes_the_last_again() -> None:
    last = Version(LAST_MILLIS, LAST_COUNT, "0" * 16)
    assert following(Version(LAST_MILLIS, LAST_COUNT - 1, "f" * 16), NOW_MS, "0" * 16) == last
    assert following(last, NOW_MS, "0" * 16) == last


@given(ENTRIES, ENTRIES, ENTRIES)
def test_what_holds_does_not_depend_on_the_order_of_arrival(
    a: SiteEntry, b: SiteEntry, c: SiteEntry
) -> None:
    assert merged(a, b) == merged(b, a)
    assert merged(merged(a, b), c) == merged(a, merged(b, c))
    assert merged(a, a) == a
    assert not supersedes(a, a)


@given(ENTRIES, ENTRIES)
def test_nothing_holds_against_a_deletion(gone: SiteEntry, later: SiteEntry) -> None:
    assert merged(replace(gone, deleted=True), later).deleted


def a_site(role: MemberRole = MemberRole.ENROLLER) -> tuple[Identity, Membership, Membership]:
    """The key-holder, a door that writes, and one that reads."""
    authority, writer, reader = new_identity(), new_identity(), new_identity()
    members = first_members(authority, "key-holder", SITE, BEGIN)
    for name, who, its_role in (("a", writer, role), ("b", reader, MemberRole.DOOR)):
        members = admitted(members, authority, name, its_role, who.public, who.box, BEGIN)
    return (
        authority,
        Membership.of(authority.public, members, writer),
        Membership.of(authority.public, members, reader),
    )


def refusal(call: object, *given: object) -> Refusal:
    with pytest.raises(Refused) as caught:
        call(*given)  # type: ignore[operator]
    return caught.value.why


def version(membership: Membership, millis: int = NOW_MS) -> Version:
    return Version(millis, 0, membership.identity.id)


def test_what_a_member_writes_others_read_and_nobody_else() -> None:
    authority, writer, reader = a_site()
    topic = TOPICS.person(new_person())
    payload = write(writer, topic, version(writer), b"Ada")
    assert read(reader, topic, payload, NOW_MS).content == b"Ada"
    assert b"Ada" not in payload
    stranger = Membership.of(authority.public, reader.members, new_identity())
    assert refusal(read, stranger, topic, payload, NOW_MS) is Refusal.KEY_UNKNOWN


def test_a_message_holds_under_its_topic_only_and_as_it_was_written_only() -> None:
    _, writer, reader = a_site()
    topic, other = TOPICS.person(new_person()), TOPICS.person(new_person())
    payload = write(writer, topic, version(writer), b"Ada")
    assert refusal(read, reader, other, payload, NOW_MS) is Refusal.MOVED
    renamed = payload.replace(topic.encode(), other.encode())
    assert refusal(read, reader, other, renamed, NOW_MS) is Refusal.SIGNATURE_WRONG
    later = payload.replace(
        str(version(writer)).encode(), str(version(writer, NOW_MS + 1)).encode()
    )
    assert refusal(read, reader, topic, later, NOW_MS) is Refusal.SIGNATURE_WRONG
    newer = payload.replace(b'"format":1', b'"format":2')
    assert refusal(read, reader, topic, newer, NOW_MS) is Refusal.FORMAT_UNKNOWN
    assert refusal(read, reader, topic, bytes(LARGEST + 1), NOW_MS) is Refusal.OVERSIZED


@given(st.data())
def test_no_altered_byte_is_believed(data: st.DataObject) -> None:
    _, writer, reader = _SITE
    payload = bytearray(write(writer, _TOPIC, version(writer), b"Ada"))
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] ^= data.draw(st.integers(1, 255))
    try:
        opened = read(reader, _TOPIC, bytes(payload), NOW_MS)
    except Refused:
        return
    assert opened.content == b"Ada"  # the same message, written in another way


_SITE = a_site()
_TOPIC = TOPICS.person(new_person())


@given(st.binary(max_size=300))
def test_anything_else_is_refused_and_breaks_nothing(payload: bytes) -> None:
    with pytest.raises(Refused):
        read(_SITE[2], _TOPIC, payload, NOW_MS)
    with pytest.raises(Refused):
        read_members(payload, _SITE[0].public, SITE)


def test_a_door_that_may_not_enrol_and_a_revoked_one_change_nobody() -> None:
    authority, writer, reader = a_site(MemberRole.DOOR)
    topic = TOPICS.person(new_person())
    payload = write(writer, topic, version(writer), b"Mallory")
    assert refusal(read, reader, topic, payload, NOW_MS) is Refusal.ROLE_MISSING
    without = revoked(reader.members, authority, "a", BEGIN)
    after = Membership.of(authority.public, without, reader.identity)
    assert refusal(read, after, topic, payload, NOW_MS) is Refusal.SIGNER_REVOKED
    assert keys_of(without, writer.identity) == {}
    assert keys_of(without, reader.identity)[without.key]
    own = writer.identity
    with pytest.raises(ValueError, match="revoked"):
        admitted(without, authority, "a2", MemberRole.DOOR, own.public, own.box, BEGIN)


def test_a_clock_of_next_year_does_not_hold_for_ever() -> None:
    _, writer, reader = a_site()
    topic = TOPICS.person(new_person())
    ahead = version(writer, NOW_MS + int(timedelta(days=300).total_seconds() * 1000))
    payload = write(writer, topic, ahead, b"Ada")
    assert refusal(read, reader, topic, payload, NOW_MS) is Refusal.CLOCK_AHEAD


def test_the_list_of_members_is_the_key_holder_s_of_this_site() -> None:
    authority, writer, _ = a_site()
    signed = writer.members.signed(authority)
    assert read_members(signed, authority.public, SITE) == writer.members
    assert refusal(read_members, signed, authority.public, "other") is Refusal.MOVED
    forged = writer.members.signed(writer.identity)
    assert refusal(read_members, forged, authority.public, SITE) is Refusal.SIGNATURE_WRONG


def test_two_keys_are_kept_so_that_what_is_under_way_can_be_read() -> None:
    authority, _, reader = a_site()
    once = rotated(reader.members, authority, BEGIN)
    twice = rotated(once, authority, BEGIN)
    assert sorted(keys_of(once, reader.identity)) == [1, 2]
    assert sorted(keys_of(twice, reader.identity)) == [2, 3]


def test_what_is_sealed_to_one_opens_for_nobody_else() -> None:
    one, other = new_identity(), new_identity()
    sealed = sealed_to(one.box, b"secret", "test")
    assert one.opened(sealed, "test") == b"secret"
    with pytest.raises(ValueError, match="somebody else"):
        other.opened(sealed, "test")
    with pytest.raises(ValueError, match="somebody else"):
        one.opened(sealed, "another purpose")


@given(st.text(ALPHABET, min_size=15, max_size=15), st.integers(0, 15), st.sampled_from(ALPHABET))
def test_a_mistyped_code_is_seen(random: str, at: int, wrong: str) -> None:
    code = grouped(random)
    assert read_code(code.lower().replace("-", " ")) == random
    plain = code.replace("-", "")
    if plain[at] != wrong:
        with pytest.raises(ValueError, match="Read it again"):
            read_code(plain[:at] + wrong + plain[at + 1 :])


def test_an_invitation_opens_with_its_code_at_its_site_only() -> None:
    code = new_code()
    invitation = Invitation.of(code, SITE)
    assert Invitation.of(code, SITE) == invitation
    other = Invitation.of(new_code(), SITE)
    assert other.tag != invitation.tag
    assert Invitation.of(code, "elsewhere").tag != invitation.tag
    from ostiary.site.invitation import JoinAsk

    ask = JoinAsk(name="a", public="A" * 43 + "=", box="A" * 43 + "=")
    sealed = invitation.sealed(ask, "topic")
    assert JoinAsk.model_validate_json(invitation.opened(sealed, "topic")) == ask
    assert refusal(other.opened, sealed, "topic") is Refusal.SEAL_BROKEN
    assert refusal(invitation.opened, sealed, "another") is Refusal.SEAL_BROKEN
