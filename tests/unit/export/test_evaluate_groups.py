"""Strangers by group: who is drawn, who is taken out, and what is told."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ostiary.vision.arrays import FloatArray
from ostiary_export.errors import FacesInvalid
from ostiary_export.evaluate.bootstrap import share_over_draws
from ostiary_export.evaluate.group_faces import (
    Groups,
    each_person_once,
    group_of,
    listed_pairs,
    pictures_by_group,
)
from ostiary_export.evaluate.group_figures import by_group
from ostiary_export.evaluate.group_report import markdown
from testing.faces import RATES, of_one_family

MEASURED = replace(RATES, mean=1.386, deviation=0.0678)


def groups(**folders: FloatArray) -> Groups:
    return Groups(
        tuple(folders),
        np.repeat(np.arange(len(folders)), [len(rows) for rows in folders.values()]),
        tuple(f"{name}/{at}.jpg" for name, rows in folders.items() for at in range(len(rows))),
        np.concatenate(list(folders.values())),
        {},
    )


def test_folders_that_share_their_first_word_are_of_one_group() -> None:
    assert group_of("east_asian_men") == group_of("east_asian_60plus") == "east"
    assert group_of("white_portraits") != group_of("black_portraits")


def test_strangers_are_counted_within_a_folder_within_its_group_and_between_groups() -> None:
    found = groups(
        red_a=of_one_family(60, 0.5, 1), red_b=of_one_family(60, 0.5, 2), blue=of_one_family(60, 0)
    )
    lines = [json.loads(line.to_json()) for line in by_group(found, "sface", MEASURED)]
    kinds = {(each["accuracy"], each["group"], each.get("strangers")) for each in lines}
    assert ("strangers_by_group", "red_a", None) in kinds
    assert ("strangers_from_another_folder", "red_a", "red_b") in kinds
    assert ("strangers_between_groups", "red_a", "blue") in kinds
    own = {
        each["site_scale"]: each["value"]
        for each in lines
        if (each["accuracy"], each["group"], each["people"]) == ("strangers_by_group", "red_a", 10)
    }
    assert own[True] <= own[False]
    assert {each["people"] for each in lines if each["group"] == "blue"} == {10}  # too few for 100
    assert "### Strangers of the gallery's own group" in markdown(
        found, list(by_group(found, "sface", MEASURED))
    )


def test_a_share_over_draws_leaves_out_who_is_not_there() -> None:
    wrong = np.array([[True, False, True], [True, False, False]])
    there = np.array([[True, True, False], [True, True, True]])
    found = share_over_draws(wrong, there)
    assert found.value == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert found.low <= found.value <= found.high


def test_who_is_in_a_folder_twice_is_taken_out_by_the_distance_or_by_a_listing() -> None:
    rows = of_one_family(50)
    found = groups(red=np.concatenate([rows, rows[:1]]))
    listed = frozenset([frozenset(["red/3.jpg", "red/7.jpg"])])
    once = each_person_once(found, MEASURED, listed)
    assert [(each.kept, each.taken_out, each.listed) for each in once.one_person] == [
        ("red/0.jpg", "red/50.jpg", False),
        ("red/3.jpg", "red/7.jpg", True),
    ]
    assert len(once.pictures) == 49


def test_a_listing_names_pictures_by_what_is_in_them(tmp_path: Path) -> None:
    folder = tmp_path / "faces" / "red"
    folder.mkdir(parents=True)
    for name in ("a", "b", "c"):
        (folder / f"{name}.jpg").write_text(name)
    one, other = (hashlib.sha256(name.encode()).hexdigest()[:16] for name in ("a", "c"))
    listing = tmp_path / "one_person.txt"
    listing.write_text(f"# looked at\n\n{one} {other}\n{'0' * 16} {other}\n")
    root = tmp_path / "faces"
    assert listed_pairs(root, listing) == {frozenset(["red/a.jpg", "red/c.jpg"])}
    assert listed_pairs(root, None) == frozenset()
    listing.write_text("a.jpg c.jpg\n")
    with pytest.raises(FacesInvalid, match="SHA-256"):
        listed_pairs(root, listing)
    with pytest.raises(FacesInvalid, match="a folder a group"):
        pictures_by_group(tmp_path / "nowhere")
