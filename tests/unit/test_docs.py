"""What the pages name is there: files, headings, make's targets, the command line's commands."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from ostiary.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    each for where in ("[A-Z]*.md", "docs/*.md", "config/*/*.md") for each in ROOT.glob(where)
)
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def anchors(page: Path) -> set[str]:
    """The headings as GitHub links to them."""
    found = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in found}


def commands_of_the_line() -> dict[str, set[str]]:
    """`ostiary`'s commands, and theirs."""
    found = getattr(get_command(app), "commands", {})
    return {name: set(getattr(each, "commands", {})) for name, each in found.items()}


def named(page: Path, what: str) -> Iterator[str]:
    """What follows `what` at the beginning of an inline code or a console's line."""
    text = page.read_text(encoding="utf-8")
    yield from re.findall(rf"`(?:sudo )?{what} ([a-z][a-z -]*)", text)
    yield from re.findall(rf"^\$ (?:sudo )?{what} ([a-z][a-z -]*)", text, re.MULTILINE)


@pages
def test_every_link_within_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


@pages
def test_every_make_target_that_is_named_is_there(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert {words.split()[0] for words in named(page, "make")} <= targets


@pages
def test_every_command_that_is_named_is_there(page: Path) -> None:
    known = commands_of_the_line()
    for words in named(page, "ostiary"):
        first, *rest = words.split()
        assert first in known, words
        if known[first] and rest and not rest[0].startswith("-"):
            assert rest[0] in known[first], words


@pages
def test_no_page_installs_a_package_that_is_not_published(page: Path) -> None:
    assert not re.search(r"pip install '?ostiary", page.read_text(encoding="utf-8"))


def test_both_readmes_have_the_same_parts_figures_links_and_commands() -> None:
    def content(page: Path) -> list[list[str]]:
        text = page.read_text(encoding="utf-8")
        rows = re.findall(r"^\|.*$", text, re.MULTILINE)
        figures = [" ".join(sorted(re.findall(r"\d+(?:\.\d+)?", row))) for row in rows]
        commands = re.findall(r"^\$ (\S+(?: [^#\s]+)*)", text, re.MULTILINE)
        links = {link for link in re.findall(r"\]\(([^)#\s]+)", text) if "README" not in link}
        return [re.findall(r"^#+", text, re.MULTILINE), figures, commands, sorted(links)]

    assert content(ROOT / "README.zh-CN.md") == content(ROOT / "README.md")
