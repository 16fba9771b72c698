"""The console's pages. They only read; every change goes through /api/v1."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from ostiary.decision.rules import moment_of
from ostiary.errors import NotAllowed, UserUnknown
from ostiary.http.authenticator import Authenticator
from ostiary.http.events import may_be_added, midnight
from ostiary.http.parts import ConsoleParts
from ostiary.http.render import Elsewhere, Renderer
from ostiary.http.routes import Turns
from ostiary.http.rule_pages import RulePages
from ostiary.http.thresholds import ThresholdEditor
from ostiary.messages.words import Reason
from ostiary.settings.access import ADJUSTABLE
from ostiary.settings.overrides import ranges
from ostiary.store.accounts import Accounts, Role, Session
from ostiary.store.audit import Audit
from ostiary.store.credentials import Credentials
from ostiary.store.events import EventFilter
from ostiary.store.snapshots import Snapshots
from ostiary.store.users import User

A_PAGE = 60
NO_GROUP = ";"
"""Stands for people in no group: no group's name may have it."""
EVENTS_A_PAGE = 50
LOOK_ALIKES = 20
AUDIT_ROWS = 50

Name = Annotated[str, Query(max_length=200)]


@dataclass(frozen=True, slots=True)
class PeopleWanted:
    """Which people are looked for. `q`: part of a name; `group`: a group or `NO_GROUP`; `one`: only
    people with one template. An empty field asks for nothing."""

    q: str = ""
    group: str = ""
    one: bool = False

    @property
    def everybody(self) -> bool:
        return self == PeopleWanted()

    def url(self, page: int) -> str:
        asked = {"q": self.q, "group": self.group, "one": "1" if self.one else ""}
        kept = {key: value for key, value in asked.items() if value}
        return f"./people?{urlencode({**kept, 'page': page})}"


@dataclass(frozen=True, slots=True)
class PersonCard:
    """A person on the page of people. `is_over`: their time is over."""

    user: User
    groups: tuple[str, ...]
    valid_until: datetime | None
    is_over: bool


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """A page of the list of people: `people` from the `first` on, of `found` wanted ones and
    `count` registered ones."""

    people: tuple[PersonCard, ...]
    first: int
    found: int
    count: int
    page: int

    @property
    def last(self) -> int:
        return min(self.first + A_PAGE - 1, self.found)

    @property
    def pages(self) -> int:
        return max(1, -(-self.found // A_PAGE))


def people_page(parts: ConsoleParts, wanted: PeopleWanted, page: int) -> PeoplePage:
    """The page of that number, from 1, or the last one. It reads only the people on the page from
    the store."""
    everybody = parts.people.names()
    text, stored, roster = wanted.q.casefold(), parts.rules.stored.people, parts.people.roster

    def in_group(name: str) -> bool:
        own = stored[name].groups if name in stored else frozenset[str]()
        return not own if wanted.group == NO_GROUP else wanted.group in own

    found = [
        name
        for name in everybody
        if text in name.casefold()
        and (not wanted.group or in_group(name))
        and (not wanted.one or roster.has_one_template(name))
    ]
    number = max(1, min(page, -(-len(found) // A_PAGE)))
    start = (number - 1) * A_PAGE
    people = []
    for name in found[start : start + A_PAGE]:
        with suppress(UserUnknown):  # deleted meanwhile
            people.append(_listed(parts, parts.people.get(name)))
    return PeoplePage(tuple(people), start + 1, len(found), len(everybody), number)


def _listed(parts: ConsoleParts, user: User) -> PersonCard:
    own = parts.rules.person(user.username)
    until = own.valid_until
    over = until is not None and until <= parts.clock()
    return PersonCard(user, tuple(sorted(own.groups)), until, over)


class Pages:
    """All pages, in `router`. A visitor who is not signed in is sent to do so first."""

    def __init__(
        self,
        parts: ConsoleParts,
        authenticator: Authenticator,
        renderer: Renderer,
        thresholds: ThresholdEditor,
        turns: Turns,
    ) -> None:
        self._parts = parts
        self._authenticator = authenticator
        self._render = renderer.page
        self._thresholds = thresholds
        self._accounts = Accounts(parts.database)
        self._tokens = authenticator.tokens
        self._audit = Audit(parts.database)
        self._credentials = Credentials(parts.database)
        self._snapshots = Snapshots(parts.database)
        self._rules = RulePages(parts, renderer, turns)
        self.router = APIRouter(include_in_schema=False)
        for path, page in (
            ("/", self.live),
            ("/people", self.people),
            ("/person", self.person),
            ("/enrol", self.enrol),
            ("/events", self.events),
            ("/health", self.health),
            ("/thresholds", self.thresholds),
            ("/access", self.access),
            ("/rules", self.rules),
            ("/rule", self.rule),
            ("/charts", self.charts),
            ("/site", self.site),
        ):
            self.router.add_api_route(path, page, methods=["GET"], response_model=None)

    def live(self, request: Request) -> Response:
        """What the cameras see, and the last decisions."""
        session = self._session(request)
        page = self._parts.events.page(EventFilter(kind="login"), limit=8)
        return self._render(
            request,
            "live",
            session,
            {"cameras": tuple(self._parts.cameras), "events": page.events},
        )

    def people(
        self,
        request: Request,
        q: Name = "",
        group: Name = "",
        one: Literal["", "1"] = "",
        page: Annotated[int, Query(ge=1, le=10**6)] = 1,
    ) -> Response:
        """Everybody, a page at a time; `q`: whose name has it; `one`: who has one template only."""
        session = self._session(request)
        operator = session.role is Role.OPERATOR
        wanted = PeopleWanted(q.strip(), group, bool(one))
        roster = self._parts.people.roster
        values = {
            "wanted": wanted,
            "list": people_page(self._parts, wanted, page),
            "groups": sorted(self._parts.rules.stored.groups),
            "no_group": NO_GROUP,
            "one_template": roster.with_one_template,
            "alike": roster.look_alikes().pairs[:LOOK_ALIKES] if operator else (),
            "distance": roster.thresholds.used,
            "waiting": roster.waiting(),
        }
        return self._render(request, "people", session, values)

    def person(self, request: Request, name: Name) -> Response:
        session = self._session(request)
        user = self._parts.people.get(name)
        values = {
            "person": user,
            "templates": self._parts.users.templates_of(user.username),
            "events": self._parts.events.page(EventFilter(username=user.username), limit=8).events,
            "holding": self._credentials.holding(user.username),
            "readers": sorted({reader.door for reader in self._parts.settings.readers}),
            "pin_digits": self._parts.settings.credentials.pin_digits,
            "seconds": round(self._parts.commands.limits.camera_s),
            **self._rules.of_person(request, session, user.username),
        }
        return self._render(request, "person", session, values)

    def enrol(self, request: Request, name: Name = "", visitor: Literal["", "1"] = "") -> Response:
        """A new person, a visitor, or with `name` one more template of somebody."""
        session = self._session(request)
        if session.role is not Role.OPERATOR:
            raise NotAllowed("Only an operator may do this.")
        cameras = tuple(self._parts.cameras)
        known = self._parts.people.get(name).username if name else None
        today = midnight(self._parts.clock(), 1, self._parts.rules.zone).date()
        values = {
            "cameras": cameras,
            "known": known,
            "visitor": bool(visitor) and known is None,
            "shared": self._parts.people.is_shared,
            "groups": sorted(self._parts.rules.stored.groups),
            "ends": [
                (key, (today + timedelta(days=days)).isoformat())
                for key, days in (("today", 0), ("tomorrow", 1), ("week", 7))
            ],
        }
        return self._render(request, "enrol", session, values)

    def rules(self, request: Request) -> Response:
        """Groups, rules and holidays."""
        return self._rules.rules(request, self._session(request))

    def rule(self, request: Request, name: Name = "") -> Response:
        """One rule, with a week to draw on."""
        return self._rules.rule(request, self._session(request), name)

    def charts(self, request: Request, days: Literal["1", "7", "30"] = "7") -> Response:
        """The last days, drawn."""
        return self._rules.charts(request, self._session(request), days)

    def events(
        self,
        request: Request,
        kind: Literal["login", "user", "door", ""] = "",
        reason: Reason | Literal[""] = "",
        username: Name = "",
        day: Annotated[str, Query(max_length=10)] = "",
        cursor: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    ) -> Response:
        session = self._session(request)
        since, until = self._day(day)
        where = EventFilter(
            kind=kind or None,
            reason=reason or None,
            username=username.strip() or None,
            since=since,
            until=until,
        )
        page = self._parts.events.page(where, cursor=cursor, limit=EVENTS_A_PAGE)
        chosen = {
            "kind": kind,
            "reason": str(reason),
            "username": username.strip(),
            "day": day if since else "",
        }
        kept = {key: value for key, value in chosen.items() if value}
        roster = self._parts.people.roster
        values = {
            "events": page.events,
            "addable": {
                event.seq
                for event in page.events
                if may_be_added(event, roster, self._parts.access().live_threshold)
            },
            "snapshots": self._snapshots.present(event.seq for event in page.events),
            "older": None
            if page.cursor is None
            else f"./events?{urlencode({**kept, 'cursor': page.cursor})}",
            "newest": None if cursor is None else f"./events?{urlencode(kept)}",
            "chosen": chosen,
            "reasons": tuple(Reason),
            "today": midnight(self._parts.clock(), 1, self._parts.rules.zone).date(),
            "as_csv": f"./api/v1/events.csv?{urlencode(_as_asked(kept, since, until))}",
        }
        return self._render(request, "events", session, values)

    def health(self, request: Request) -> Response:
        session = self._session(request)
        state = self._parts.state()
        uptime = str(timedelta(seconds=round(state.uptime_s)))
        return self._render(request, "health", session, {"state": state, "uptime": uptime})

    def site(self, request: Request) -> Response:
        """All doors of the site."""
        session = self._session(request)
        values = {
            "doors": self._parts.site(),
            "state": self._parts.state().site,
            "site": self._parts.settings.site.id,
        }
        return self._render(request, "site", session, values)

    def thresholds(self, request: Request) -> Response:
        session = self._session(request)
        values = {
            "values": self._thresholds.current.model_dump(include=set(ADJUSTABLE)),
            "configured": self._parts.configured.model_dump(include=set(ADJUSTABLE)),
            "overridden": self._thresholds.overridden(),
            "fixed": self._thresholds.fixed(),
            "distance": self._thresholds.distance,
            "people": self._parts.people.count(),
            "cameras": self._parts.state().cameras,
            "ranges": ranges(),
        }
        return self._render(request, "thresholds", session, values)

    def access(self, request: Request) -> Response:
        """One's own password; for operators also accounts, tokens and changes."""
        session = self._session(request)
        operator = session.role is Role.OPERATOR
        values = {
            "accounts": self._accounts.list() if operator else (),
            "tokens": self._tokens.list() if operator else (),
            "ends_at": self._tokens.ends_at,
            "doors": tuple(self._parts.cameras),
            "rows": self._audit.newest(AUDIT_ROWS) if operator else (),
        }
        return self._render(request, "access", session, values)

    def _day(self, day: str) -> tuple[datetime | None, datetime | None]:
        """The first and last moment of a day by the site's clocks; None for what is no date."""
        zone = self._parts.rules.zone
        try:
            return moment_of(day, zone), moment_of(day, zone, is_end=True)
        except (ValueError, OverflowError):
            return None, None

    def _session(self, request: Request) -> Session:
        session = self._authenticator.session(request)
        if session is not None:
            return session
        if not self._accounts.count():
            raise Elsewhere("/setup")
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        raise Elsewhere(f"/sign-in?{urlencode({'next': here})}")


def _as_asked(
    kept: dict[str, str], since: datetime | None, until: datetime | None
) -> dict[str, str]:
    """The page's filter as the API takes it."""
    ends = {"since": since, "until": until}
    asked = {key: value for key, value in kept.items() if key != "day"}
    return asked | {name: at.isoformat() for name, at in ends.items() if at is not None}
