"""Audit rows as they are stored: how one is sealed and opened, and whom it names."""

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
"""Actions whose subject is a person. The subject of every other action is something else (an
account, a token, a rule, a door); it stays when a person is deleted."""

AUDIT_COLUMNS = "id, at, actor, action, subject, detail, address, person, named"
NAMELESS = ("", "{}")
"""Subject and detail of a row that has both in `named`, under the person's key."""
_TEXTS = {2: "actor", 3: "action", 4: "subject", 5: "detail", 6: "address"}


def opened_audit(row: Row, seal: Seal) -> Row:
    """Open the store's seal of a row; what is under the person's key stays sealed. The row's first
    columns are those of AUDIT_COLUMNS up to the address. Raises StoreLocked, SealBroken."""
    if not seal.is_sealing:
        return row
    plain = list(row)
    for column, name in _TEXTS.items():
        text = row[column]
        if isinstance(text, str | bytes):
            plain[column] = seal.opened_text(text, "audit", row[0], name)
    return plain


def sealed_audit(number: object, texts: Sequence[str], seal: Seal) -> list[str | bytes]:
    """Seal actor, action, subject, detail and address for the row `number`. Raises StoreLocked."""
    named = zip(texts, _TEXTS.values(), strict=True)
    return [seal.text(text, "audit", number, name) for text, name in named]


def whom_it_names(action: str, subject: str, detail: str) -> list[str]:
    """The names of the person that an audit row is about, the newest first; none where it is about
    anything else. Raises ValueError for a rename whose detail is no JSON."""
    if action not in ABOUT_PEOPLE:
        return []
    renamed = json.loads(detail) if action == "user_renamed" else {}
    named = (*(text for text in renamed.values() if isinstance(text, str)), subject)
    return [same_name(each) for each in named]


def row_bytes(number: object) -> bytes:
    """The number of an audit row in the form to which its part under a person's key is bound."""
    return str(number).encode()
