"""Makes pages from templates, in the visitor's language."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ostiary import __version__
from ostiary.decision.rules import text_of
from ostiary.http.authenticator import SHORTEST_PASSWORD, Authenticator
from ostiary.http.parts import ConsoleParts
from ostiary.http.problems import Problem
from ostiary.http.texts import LANGUAGES, TAGS, Sayings, Texts, asked_language
from ostiary.messages.words import Mode
from ostiary.store.accounts import Role, Session

LANGUAGE_COOKIE = "ostiary_language"


class Elsewhere(Exception):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


@dataclass(frozen=True, slots=True)
class Say:
    """The texts of one language, as templates call them: `t("nav.live")`."""

    texts: Texts
    language: str
    sayings: Sayings

    def __call__(self, key: str, **values: object) -> str:
        return self.texts.get(self.language, key, **values)

    def html(self, key: str, **values: Markup) -> Markup:
        """The text with values that are HTML."""
        return escape(self.texts.raw(self.language, key)).format(**values)

    def of(self, group: str, code: str) -> str:
        """The text of a code; the code itself where it is newer than the texts."""
        return self.texts.find(self.language, f"{group}.{code}") or code.replace("_", " ")

    def said(self, key: str, **values: object) -> str:
        """The text of a key; the key itself where it is newer than the texts."""
        known = self.texts.find(self.language, key) is not None
        return self(key, **values) if known else key

    def sentence(self, sentence: str) -> str:
        """One of the daemon's sentences; empty where it is not known in this language."""
        return self.sayings.said(sentence, self.language) or ""

    def under(self, *prefixes: str) -> dict[str, str]:
        """All texts below these prefixes, for scripts."""
        return {
            f"{prefix}.{key}": text
            for prefix in prefixes
            for key, text in self.texts.under(self.language, prefix).items()
        }


class Renderer:
    """Renders `templates/*.html`."""

    def __init__(self, parts: ConsoleParts, authenticator: Authenticator, texts: Texts) -> None:
        self._parts = parts
        self._authenticator = authenticator
        self._texts = texts
        self.sayings = Sayings(texts)
        self._environment = Environment(
            loader=PackageLoader("ostiary.http"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["time"] = moment
        self._environment.filters["wall"] = wall
        zone = parts.rules.zone
        for name, is_end in (("as_begin", False), ("as_end", True)):
            self._environment.filters[name] = partial(written, zone=zone, is_end=is_end)
        self._environment.filters["quoted"] = lambda text: quote(text, safe="")

    def say(self, request: Request, chosen: str = "") -> Say:
        chosen = chosen or request.cookies.get(LANGUAGE_COOKIE, "")
        if chosen not in LANGUAGES:
            chosen = asked_language(request)
        return Say(self._texts, chosen, self.sayings)

    def page(
        self,
        request: Request,
        name: str,
        session: Session | None,
        values: Mapping[str, Any] | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        language: str = "",
    ) -> Response:
        """`templates/<name>.html`. `session` is None for a visitor who is not signed in."""
        say = self.say(request, language)
        html = self._environment.get_template(f"{name}.html").render(
            {
                "t": say,
                "page": name,
                "tag": TAGS[say.language],
                "language": say.language,
                "languages": LANGUAGES,
                "shortest": SHORTEST_PASSWORD,
                "most_bytes": self._parts.commands.limits.images.bytes,
                "device": self._parts.settings.device.name,
                "version": __version__,
                "session": session,
                "locked_down": () if session is None else self._locked_down(),
                "operator": session is not None and session.role is Role.OPERATOR,
                "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
                **(values or {}),
            }
        )
        return HTMLResponse(html, status, headers=dict(headers or {}))

    def _locked_down(self) -> tuple[str, ...]:
        return tuple(each.door for each in self._parts.doors() if each.mode is Mode.LOCKDOWN)

    def wants_page(self, request: Request) -> bool:
        """Whether a person looks at the answer, and not a program."""
        accepts = "text/html" in request.headers.get("accept", "")
        return accepts and request.url.path.count("/") == 1

    def problem(self, request: Request, problem: Problem, headers: Mapping[str, str]) -> Response:
        return self.page(
            request,
            "problem",
            self._authenticator.session(request),
            {"problem": problem},
            problem.status,
            headers,
        )


def to_page(url: str) -> RedirectResponse:
    """Redirect to a page. All pages are at the top and use relative addresses, so that the console
    works below any path that a proxy gives it."""
    return RedirectResponse(f".{url}", 303)


def written(moment: datetime | str | None, zone: tzinfo, *, is_end: bool) -> str:
    """Write a first or last moment as an input takes it: a date, with a time where it has one."""
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return "" if at is None else text_of(at, zone, is_end=is_end)


def wall(text: str) -> Markup:
    """A date or a time by the site's clocks, which a script writes in the visitor's way."""
    return Markup('<time datetime="{0}">{1}</time>').format(text, text.replace("T", " "))


def moment(when: datetime | None) -> Markup:
    """A time in UTC, which a script turns into the visitor's own."""
    if when is None:
        return Markup("–")
    utc = when.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.strftime("%Y-%m-%dT%H:%M:%SZ"), escape(utc.strftime("%Y-%m-%d %H:%M:%S UTC"))
    )
