"""The topics of a site. A person's topic is a random id. Its first two digits are a level of their
own, so that a large roster can be asked for in parts that a broker's small queues can hold."""

import hashlib
import re
import secrets
from dataclasses import dataclass

_PERSON = re.compile(r"[0-9a-f]{32}")
SHARDS = tuple(f"{number:02x}" for number in range(256))


def new_person() -> str:
    """Make a person's id: 128 random bits in hex."""
    return secrets.token_hex(16)


def person_again(person: str) -> str:
    """The id of a person whose deletion is undone: the same at every door."""
    return hashlib.sha256(f"ostiary-site-again {person}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class SiteTopics:
    """The topics of one site, all under `ostiary-site/<site>/`."""

    site: str

    @property
    def base(self) -> str:
        return f"ostiary-site/{self.site}"

    @property
    def keys(self) -> str:
        """The list of members, retained."""
        return f"{self.base}/keys"

    @property
    def everything(self) -> str:
        return f"{self.base}/#"

    @property
    def people(self) -> str:
        return f"{self.base}/person/#"

    def person(self, person: str) -> str:
        """A person, or the deletion of one; retained."""
        return f"{self.base}/person/{person[:2]}/{person}"

    def shard(self, shard: str) -> str:
        """The filter of all people whose id begins with `shard`."""
        return f"{self.base}/person/{shard}/+"

    def person_of(self, topic: str) -> str | None:
        """The person's id in a topic; None: it is no person's."""
        person = topic.rpartition("/")[2]
        return person if _PERSON.fullmatch(person) and topic == self.person(person) else None

    @property
    def doors(self) -> str:
        return f"{self.base}/door/+"

    def door(self, member: str) -> str:
        """The report of a door, retained."""
        return f"{self.base}/door/{member}"

    def mark(self, member: str) -> str:
        """A door's message to itself: once it comes back, all that was asked for before has
        come."""
        return f"{self.base}/mark/{member}"

    def asking(self, tag: str) -> str:
        """Where a door that has the invitation asks to be admitted."""
        return f"{self.base}/join/{tag}/ask"

    def answering(self, tag: str) -> str:
        return f"{self.base}/join/{tag}/answer"
