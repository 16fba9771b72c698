"""Whose names look alike, so that nobody is registered to be mistaken for somebody else."""

from collections.abc import Iterable, Iterator

from ostiary.errors import UsernameInvalid
from ostiary.messages.username import looks_of, new_username


class Names:
    """Everybody's name by its looks. Kept in step by `People`, under its lock."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names: set[str] = set()
        self._by_look: dict[str, set[str]] = {}
        for name in names:
            self.add(name)

    def __iter__(self) -> Iterator[str]:
        """Everybody, by name. May be asked from any thread."""
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)

    def check_new(self, text: str, instead_of: str | None = None) -> None:
        """Raises UsernameInvalid for what may be no name, or looks like another one. The same
        name, and the one it is to replace, are for the store to judge."""
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
