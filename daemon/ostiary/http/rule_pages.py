"""Pages about rules, and the charts. They only read; every change goes through /api/v1."""

from typing import Annotated, Any, Literal

from fastapi import Query, Request
from fastapi.responses import Response

from ostiary.errors import NotAllowed, RuleUnknown
from ostiary.http import drawing
from ostiary.http.events import figures, midnight
from ostiary.http.parts import ConsoleParts
from ostiary.http.render import Renderer, Say
from ostiary.http.routes import Turns
from ostiary.messages.commands.rules import AccessRule, WeeklyHours
from ostiary.messages.words import Day, Factor
from ostiary.store.accounts import Role, Session
from ostiary.store.credentials import Credentials

Name = Annotated[str, Query(max_length=200)]
SPANS = (1, 7, 30)


class RulePages:
    """The pages about rules and the charts."""

    def __init__(self, parts: ConsoleParts, renderer: Renderer, turns: Turns) -> None:
        self._parts = parts
        self._turns = turns
        self._renderer = renderer
        self._credentials = Credentials(parts.database)

    def rules(self, request: Request, session: Session) -> Response:
        rules = self._parts.rules
        stored = rules.stored
        groups = {
            name: sum(name in person.groups for person in stored.people.values())
            for name in sorted(stored.groups)
        }
        values = {
            "groups": groups,
            "rules": rules.rules(),
            "lacking": self._lacking(session, rules.rules()),
            "weeks": self.weeks(request, rules.rules()),
            "holidays": sorted(stored.holidays.items()),
            "timezone": rules.timezone,
            "trusted": rules.clock_trusted(),
            "without_group": rules.without_group,
        }
        return self._renderer.page(request, "rules", session, values)

    def rule(self, request: Request, session: Session, name: str) -> Response:
        """One rule to be changed; without a name a new one."""
        if session.role is not Role.OPERATOR:
            raise NotAllowed("Only an operator may do this.")
        rules = self._parts.rules
        known = {rule.name: rule for rule in rules.rules()}
        if name and name not in known:
            raise RuleUnknown(f"There is no rule {name}.")
        rule = known.get(name)
        values = {
            "rule": rule,
            "hours": None
            if rule is None or rule.hours is None
            else [each.model_dump(mode="json") for each in rule.hours],
            "groups": sorted(rules.stored.groups),
            "doors": rules.doors,
            "factors": tuple(Factor),
            "days": tuple(Day),
            "timezone": rules.timezone,
        }
        return self._renderer.page(request, "rule", session, values)

    def charts(self, request: Request, session: Session, days: Literal["1", "7", "30"]) -> Response:
        parts = self._parts
        zone = parts.rules.zone
        since = midnight(parts.clock(), int(days), zone)
        with self._turns.turn():
            found = figures(parts.events, since, zone)
        say = self._renderer.say(request)
        distance = parts.people.roster.thresholds.used.distance
        access = parts.access()
        values = {
            "figures": found,
            "days": int(days),
            "spans": SPANS,
            "timezone": parts.rules.timezone,
            "by_hour": drawing.columns(found.hours, say("charts.by_hour")),
            "near": drawing.scatter(
                found.dots,
                say("charts.near"),
                (0.0, max((*(dot.x for dot in found.dots), distance)) * 1.1),
                [(distance, say("charts.near_enough"))],
                [
                    (access.live_threshold, say("thresholds.live_threshold")),
                    (access.attack_threshold, say("thresholds.attack_threshold")),
                ],
            ),
        }
        return self._renderer.page(request, "charts", session, values)

    def of_person(self, request: Request, session: Session, username: str) -> dict[str, Any]:
        """What a person may and when, for their page."""
        rules = self._parts.rules
        person = rules.person(username)
        own = tuple(rule for rule in rules.rules() if person.groups.intersection(rule.groups))
        return {
            "groups": sorted(rules.stored.groups),
            "member_of": person.groups,
            "valid_from": person.valid_from,
            "valid_until": person.valid_until,
            "always": not person.groups and rules.without_group == "always",
            "rules": own,
            "lacking": self._lacking(session, own),
            "weeks": self.weeks(request, own),
            "rulings": tuple((door, rules.ruling(username, door)) for door in rules.doors),
            "timezone": rules.timezone,
            "trusted": rules.clock_trusted(),
        }

    def _lacking(
        self, session: Session, rules: tuple[AccessRule, ...]
    ) -> dict[str, tuple[str, ...]]:
        """The people in a rule's groups who lack the PIN or the card that it asks for, by rule.
        Only operators are told."""
        if session.role is not Role.OPERATOR:
            return {}
        asking = [rule for rule in rules if rule.needs.credential is not None]
        holders = self._credentials.holders() if asking else {}
        people = self._parts.rules.stored.people
        return {
            rule.name: tuple(
                name
                for name in sorted(people)
                if people[name].groups.intersection(rule.groups)
                and rule.needs.credential not in holders.get(name, ())
            )
            for rule in asking
        }

    def weeks(self, request: Request, rules: tuple[AccessRule, ...]) -> dict[str, Any]:
        """Each rule's hours, drawn."""
        say = self._renderer.say(request)
        names = {day.value: say(f"week.{day.value}") for day in Day}
        return {
            rule.name: drawing.week(rule.hours, names, f"{rule.name}: {_said(rule.hours, say)}")
            for rule in rules
        }


def _said(hours: tuple[WeeklyHours, ...] | None, say: Say) -> str:
    if hours is None:
        return say("rules.always")
    return "; ".join(
        f"{', '.join(say(f'week.{day.value}') for day in each.days)} {each.start}–{each.end}"
        for each in hours
    )
