"""A row of `audit`: sealed, opened, and whom it names."""

import json
from collections.abc import Sequence

from ostiary.crypto.seal import Seal
from ostiary.messages.username import same_name
from ostiary.store.links import Row

ABOUT_PEOPLE = frozenset(
    {
        "access_set",
        "card_added",
        "cards_removed",
        "person_put",
        "pin_removed",
        "pin_refused",
        "pin_set",
        "template_added",
        "template_learned",
        "template_removed",
        "templates_migrated",
        "user_deleted",
        "user_registered",
        "user_renamed",
        "user_shared",
    }
)
"""Deeds whose subject is somebody who is registered. Of all others the subject is something else
(an account, a token, a rule, a door), and stays whoever is deleted."""

AUDIT_COLUMNS = "id, at, actor, action, subject, detail, address, person, named"
NAMELESS = ("", "{}")
"""Subject and detail, of which both are in `named`."""
_TEXTS = {2: "actor", 3: "action", 4: "subject", 5: "detail", 6: "address"}


def opened_audit(row: Row, seal: Seal) -> Row:
    """A stored row, whose first columns are AUDIT_COLUMNS up to the address, as it was before it
    was sealed by the store; what is under the person's key stays so. Raises StoreLocked,
    SealBroken."""
    if not seal.is_sealing:
        return row
    plain = list(row)
    for column, name in _TEXTS.items():
        text = row[column]
        if isinstance(text, str | bytes):
            plain[column] = seal.opened_text(text, "audit", row[0], name)
    return plain


def sealed_audit(number: object, texts: Sequence[str], seal: Seal) -> list[str | bytes]:
    """Actor, action, subject, detail and address as they are stored in the row `number`."""
    named = zip(texts, _TEXTS.values(), strict=True)
    return [seal.text(text, "audit", number, name) for text, name in named]


def whom_it_names(action: str, subject: str, detail: str) -> list[str]:
    """The names in a deed about somebody, the newest first; none in one about anything else."""
    if action not in ABOUT_PEOPLE:
        return []
    renamed = json.loads(detail) if action == "user_renamed" else {}
    named = (*(text for text in renamed.values() if isinstance(text, str)), subject)
    return [same_name(each) for each in named]


def row_bytes(number: object) -> bytes:
    """What is under a person's key is bound to."""
    return str(number).encode()
