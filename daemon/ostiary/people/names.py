"""Refuses a name that looks like another person's."""

from collections.abc import Iterable, Iterator

from ostiary.errors import UsernameInvalid
from ostiary.messages.username import looks_of, new_username


class Names:
    """All names by their looks. `People` keeps them up to date, under its lock."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names: set[str] = set()
        self._by_look: dict[str, set[str]] = {}
        for name in names:
            self.add(name)

    def __iter__(self) -> Iterator[str]:
        """All names, sorted. It may be called from any thread."""
        return iter(sorted(self._names))

    def check_new(self, text: str, instead_of: str | None = None) -> None:
        """Raise UsernameInvalid for a text that cannot be a name, or looks like another name. The
        same name is left to the store, and `instead_of`, which it replaces, does not count."""
        name = new_username(text)
        alike = {other for look in looks_of(name) for other in self._by_look.get(look, ())}
        if others := alike - {name, instead_of}:
            raise UsernameInvalid(
                f"Looks like {min(others)}, who is registered. Add something that tells them apart."
            )

    def add(self, name: str) -> None:
        self._names.add(name)
        for look in looks_of(name):
            self._by_look.setdefault(look, set()).add(name)

    def remove(self, name: str) -> None:
        self._names.discard(name)
        for look in looks_of(name):
            alike = self._by_look.get(look, set())
            alike.discard(name)
            if not alike:
                self._by_look.pop(look, None)
