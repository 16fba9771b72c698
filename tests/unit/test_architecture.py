"""The arrows of docs/architecture.md, held against what the code really imports, and its files."""

import ast
import graphlib
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "daemon" / "ostiary"
EVERYTHING = "everything"


PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ASKED_FIRST = (
    "a command",
    "a setting",
    "a page",
    "a reason",
    "a camera kind",
    "a rule word",
    "a doctor's check",
    "an event's field",
    "a Home Assistant entity",
    "a recogniser",
)
"""What a newcomer looks for."""


def declared() -> dict[str, set[str]]:
    """Each room, and those that it may import from."""
    (block,) = re.findall(r"```arrows\n(.*?)```", PAGE, re.DOTALL)
    lines = [line.split("→") for line in block.strip().splitlines()]
    return {room.strip(): set(targets.split()) for room, targets in lines}


def modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path
        for path in PACKAGE.rglob("*.py")
    }


def imports(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Modules of ours that the file imports, wherever in it, for types only or not."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for each in node.names:
                inner = f"{node.module}.{each.name}"
                yield inner if inner in known else node.module


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def test_every_room_imports_only_from_where_its_arrows_point() -> None:
    known, allowed = modules(), declared()
    wrong = [
        f"{module} imports {target}"
        for module, path in known.items()
        for target in imports(path, known)
        if room_of(target) not in {room_of(module), "ostiary"}
        and EVERYTHING not in allowed[room_of(module)]
        and room_of(target) not in allowed[room_of(module)]
    ]
    assert wrong == []


def test_every_room_of_the_house_has_its_line_and_no_line_is_of_another_house() -> None:
    rooms = {room_of(module) for module in modules()} - {"ostiary", "__main__"}
    assert set(declared()) == rooms


def test_no_arrow_leads_back() -> None:
    arrows = declared()
    everything = set(arrows)
    resolved = {
        room: everything - {"app", "cli"} if EVERYTHING in targets else targets
        for room, targets in arrows.items()
    }
    graphlib.TopologicalSorter(resolved).prepare()


def test_no_module_imports_itself_over_others() -> None:
    known = modules()
    graph = {module: set(imports(path, known)) - {module} for module, path in known.items()}
    packages = {module for module, path in known.items() if path.name == "__init__.py"}
    graphlib.TopologicalSorter(
        {module: targets - packages for module, targets in graph.items()}
    ).prepare()


def files_in(text: str) -> list[str]:
    """The files and folders that a text names, with their room."""
    return re.findall(r"`([\w.*-]+/[\w./*-]*)`", text)


def rows_of(heading: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_file_that_the_page_names_is_there() -> None:
    assert [
        name for name in files_in(PAGE) if not any([*PACKAGE.glob(name), *ROOT.glob(name)])
    ] == []


def test_what_a_newcomer_looks_for_is_changed_in_two_files_at_most() -> None:
    asked = {what: files_in(where) for what, where, _ in rows_of("Where is …")}
    assert tuple(asked)[: len(ASKED_FIRST)] == ASKED_FIRST
    places = {
        what: [name for name in asked[what] if not name.endswith("/")] for what in ASKED_FIRST
    }
    assert all(1 <= len(found) <= 2 for found in places.values()), places


def test_every_word_has_one_place_in_the_code() -> None:
    words = rows_of("The words")
    assert len(words) > 30
    assert all(len(files_in(where)) == 1 for _, _, where in words)


def test_no_two_classes_have_one_name() -> None:
    named: dict[str, list[str]] = {}
    for module, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                named.setdefault(node.name, []).append(module)
    assert {name: where for name, where in named.items() if len(where) > 1} == {}


def test_the_tests_of_a_module_are_found_by_its_name() -> None:
    """`<room>/test_<module>.py`, and `test_<module>_<matter>.py` where there are several."""
    lost = []
    for path in (ROOT / "tests" / "unit").glob("*/test_*.py"):
        room = PACKAGE / path.parent.name
        named = [
            each.parent.name if each.stem == "__init__" else each.stem
            for each in room.rglob("*.py")
        ]
        matter = path.stem.removeprefix("test_")
        if named and not any(matter == name or matter.startswith(f"{name}_") for name in named):
            lost.append(f"{path.parent.name}/{path.name}")
    assert lost == []


def test_no_module_has_more_than_400_lines() -> None:
    lines = {name: len(path.read_text("utf-8").splitlines()) for name, path in modules().items()}
    assert {name: count for name, count in lines.items() if count > 400} == {}
