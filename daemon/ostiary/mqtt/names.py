"""Names that Home Assistant takes, made from names of any writing.

A name that has only plain characters stays as it is. Any other gets a digest of itself, so that two
that look alike when written plainly (入口 and 出口, `a.b` and `a_b`) stay apart, whatever others
there are.
"""

import hashlib
import re

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_ENTITY = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")


def plain(name: str) -> str:
    """For topics and unique ids: letters and digits of ASCII, `_` and `-`."""
    return name if _PLAIN.fullmatch(name) else _digested(re.sub(r"[^A-Za-z0-9_-]", "_", name), name)


def entity(name: str) -> str:
    """For entity ids, where capitals and `-` do not count: small letters, digits, single `_`."""
    if _ENTITY.fullmatch(name):
        return name
    return _digested(re.sub(r"[^a-z0-9]+", "_", name.lower()), name)


def formerly(name: str) -> str:
    """What `plain` was at first: one for many names."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


def _digested(readable: str, name: str) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return "_".join(filter(None, (readable.strip("_-"), digest)))
