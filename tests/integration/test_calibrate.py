"""`ostiary calibrate`: sittings in the store, a last layer at the door, and what ends its use."""

import itertools
import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo.scenes import Scene
from ostiary.camera.address import digest_of
from ostiary.camera.clips import clips_in
from ostiary.camera.frame import Frame
from ostiary.camera.reader import CameraReader
from ostiary.commands.calibration import Calibrations
from ostiary.crypto.door_key import DoorKey
from ostiary.decision.calibration import LIVE, CalibratedCamera
from ostiary.decision.camera_memory import Announcement
from ostiary.decision.policy import Policy
from ostiary.decision.risk import Risk
from ostiary.decision.roster import Roster
from ostiary.errors import (
    CalibrationRefused,
    DatabaseUnwritable,
    NoFace,
    NotCalibrated,
    OstiaryError,
    PicturesNotKept,
    SittingIncomplete,
    SittingMixed,
)
from ostiary.messages.calibration import (
    CalibrationFigure,
    CalibrationRecord,
    CalibrationState,
    MadeFor,
)
from ostiary.messages.events import EntranceEvent
from ostiary.messages.words import DoorWhat, RecognizerName
from ostiary.pipeline.doorkeeper import Doorkeeper
from ostiary.pipeline.recognition import Recognition
from ostiary.service.doctor.check import Level
from ostiary.service.doctor.recognition import check_calibration
from ostiary.service.metrics import Metrics
from ostiary.service.sitting import recorded, watched
from ostiary.settings import AccessSettings, CameraSettings, Settings
from ostiary.store.audit import Audit
from ostiary.store.database import Database
from ostiary.store.events import EventFilter, Events
from ostiary.store.log_check import check_log
from ostiary.store.sealing import Rotation, encrypt, rotate
from ostiary.vision.engine import VisionEngine
from ostiary.vision.image import decode_image
from ostiary.vision.last_layer import FEATURES, VETO, LastLayer
from ostiary.vision.recognizer import ErrorRates
from testing.command_line import ostiary
from testing.daemon import write_config
from testing.faces import RATES
from testing.recognizing import recognizing
from testing.rules import UNMOVED
from testing.sittings import MADE_FOR, PEOPLE, presentation, sitting
from testing.waiting import wait_until

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
ACCESS = AccessSettings(live_threshold=0.9)
RECOGNIZERS: dict[RecognizerName, ErrorRates] = {"sface": RATES}
KEY = bytes(range(32))
STATE = CalibrationState(
    made_at=NOW,
    sittings=1,
    people=4,
    figures=(CalibrationFigure(kind=LIVE, presentations=4, wrong=0, wrong_by_default=1),),
)


@pytest.fixture
def calibrations(database: Database) -> Calibrations:
    return Calibrations(database, Events(database))


@pytest.fixture(scope="module")
def attacks() -> Path:
    """Real people and attacks before one camera, where they are at hand."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "attacks"
    folder = Path(os.environ.get("OSTIARY_ATTACKS", folder))
    if not (folder / "site").is_dir():
        pytest.skip("recorded attacks (site/ and door/) are not at hand")
    return folder


def told(database: Database) -> list[tuple[DoorWhat, str | None]]:
    page = Events(database).page(EventFilter(kind="door"), newest_first=False)
    return [(each.what, each.by) for each in page.events if isinstance(each, EntranceEvent)]


def sat(calibrations: Calibrations, people: tuple[str, ...] = PEOPLE) -> CalibrationState:
    return calibrations.sat_together("front", MADE_FOR, sitting(people), RECOGNIZERS, ACCESS, NOW)


# --- in the store -----------------------------------------------------------------------------


def test_a_calibration_is_in_force_in_the_audit_told_and_in_the_chain(
    calibrations: Calibrations, database: Database, tmp_path: Path
) -> None:
    state = sat(calibrations)
    own = calibrations.in_force(NOW)["front"]
    assert own.record.state == state
    assert own.record.made_for == MADE_FOR
    assert {figure.kind for figure in state.figures} == {LIVE, "print", "phone", "tablet"}
    (row,) = Audit(database).newest(5)
    assert (row.actor, row.action, row.subject) == ("cli", "calibrated", "front")
    assert row.detail["print"] == "0 of 4 wrong"
    assert told(database) == [(DoorWhat.CALIBRATED, None)]
    key = DoorKey.load_or_make(tmp_path / "door.key")
    with database.reading() as connection:
        assert check_log(connection, key.public, (), database.seal).findings == ()


def test_sittings_in_another_light_are_joined(calibrations: Calibrations) -> None:
    sat(calibrations)
    later = NOW + timedelta(days=1)
    lamp = [presentation(each.kind, each.person, 9) for each in sitting()]
    state = calibrations.sat_together("front", MADE_FOR, lamp, RECOGNIZERS, ACCESS, later)
    assert (state.sittings, state.people) == (2, 4)
    assert all(figure.presentations == 8 for figure in state.figures)


def test_a_sitting_goes_on_where_it_was_broken_off(calibrations: Calibrations) -> None:
    """A power cut after the people: each presentation was on disk when it was over."""
    shown = sitting()
    for each in shown[:6]:
        calibrations.sat("front", MADE_FOR, NOW, each)
    with pytest.raises(SittingIncomplete, match="1 kinds"):
        calibrations.calibrate("front", RECOGNIZERS, ACCESS, NOW)
    assert calibrations.in_force(NOW) == {}
    for each in shown[6:]:
        calibrations.sat("front", MADE_FOR, NOW + timedelta(days=1), each)
    assert calibrations.calibrate("front", RECOGNIZERS, ACCESS, NOW).sittings == 2


BAD = {
    SittingIncomplete: [presentation("mask", "ann")],
    SittingMixed: [presentation(LIVE, "eve", face=sum(b"ann"))],
    CalibrationRefused: [  # people, who are said to be masks, and the networks know no better
        replace(
            presentation(LIVE, person, number, by_default=0.5),
            kind="mask",
            look=None,
            recognizer=None,
        )
        for person in PEOPLE
        for number in range(5, 9)
    ],
}


@pytest.mark.parametrize("error", BAD)
def test_a_recording_that_is_refused_leaves_nothing_and_the_earlier_one_in_force(
    calibrations: Calibrations, database: Database, error: type[OstiaryError]
) -> None:
    before = sat(calibrations)
    with pytest.raises(error):
        calibrations.sat_together("front", MADE_FOR, BAD[error], RECOGNIZERS, ACCESS, NOW)
    assert calibrations.in_force(NOW)["front"].record.state == before
    assert told(database) == [(DoorWhat.CALIBRATED, None)]
    assert calibrations.calibrate("front", RECOGNIZERS, ACCESS, NOW).sittings == 1


def test_a_camera_that_changes_between_sittings_is_refused_and_can_begin_anew(
    calibrations: Calibrations,
) -> None:
    sat(calibrations)
    smaller = MADE_FOR.model_copy(update={"width": 320})
    with pytest.raises(SittingMixed, match="size of pictures"):
        calibrations.sat_together("front", smaller, sitting(), RECOGNIZERS, ACCESS, NOW)
    state = calibrations.sat_together(
        "front", smaller, sitting(), RECOGNIZERS, ACCESS, NOW, anew=True
    )
    assert state.sittings == 1
    assert calibrations.in_force(NOW)["front"].record.made_for == smaller


def test_a_full_disk_leaves_the_door_as_it_was(
    calibrations: Calibrations, database: Database
) -> None:
    before = sat(calibrations)
    with database.transaction() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(DatabaseUnwritable):
        calibrations.sat_together("front", MADE_FOR, sitting(times=4), RECOGNIZERS, ACCESS, NOW)
    with database.transaction() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    assert calibrations.in_force(NOW)["front"].record.state == before
    assert calibrations.calibrate("front", RECOGNIZERS, ACCESS, NOW).sittings == 1


@pytest.mark.parametrize("how", ["truncated", "nan", "about", "empty"])
def test_a_layer_that_is_damaged_is_dropped_once_and_told(
    calibrations: Calibrations, database: Database, how: str
) -> None:
    sat(calibrations)
    with database.transaction() as connection:
        (layer,) = connection.execute("SELECT layer FROM calibrations").fetchone()
        column, value = {
            "truncated": ("layer", layer[:-1]),
            "nan": ("layer", np.full(len(layer) // 8, np.nan).tobytes()),
            "about": ("about", "{}"),
            "empty": ("layer", b""),
        }[how]
        connection.execute(f"UPDATE calibrations SET {column} = ?", (value,))
    assert calibrations.in_force(NOW) == {}
    assert calibrations.in_force(NOW) == {}
    assert calibrations.dropped() == {"front": "damaged"}
    assert told(database)[1:] == [(DoorWhat.CALIBRATION_DROPPED, "damaged")]
    assert Audit(database).newest(1)[0].detail == {"why": "damaged"}


def test_it_is_forgotten_with_all_that_was_kept_of_the_people(
    calibrations: Calibrations, database: Database
) -> None:
    sat(calibrations)
    calibrations.forget("front", NOW)
    assert calibrations.in_force(NOW) == {} == calibrations.dropped()
    with database.reading() as connection:
        for table in ("calibrations", "presentations"):
            assert connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,)
    assert told(database)[-1] == (DoorWhat.CALIBRATION_DROPPED, "forgotten")
    with pytest.raises(NotCalibrated):
        calibrations.forget("front", NOW)


def test_it_is_sealed_and_stays_so_under_other_keys(path: Path, tmp_path: Path) -> None:
    key = DoorKey.load_or_make(tmp_path / "door.key")
    with Database.open(path, None, key) as database:
        state = sat(Calibrations(database, Events(database)))
    encrypt(path, KEY, key, "door", NOW)
    assert b"cleo" not in path.read_bytes()
    rotate(path, KEY, NOW, key)
    with Database.open(path, KEY, key) as database:
        rotation = Rotation(database)
        while rotation.step():
            pass
        calibrations = Calibrations(database, Events(database))
        assert calibrations.in_force(NOW)["front"].record.state == state
        assert calibrations.calibrate("front", RECOGNIZERS, ACCESS, NOW).sittings == 1
        with database.transaction() as connection:  # another row's does not open here
            connection.execute("UPDATE calibrations SET id = id + 7")
        assert calibrations.in_force(NOW) == {}
        assert calibrations.dropped() == {"front": "damaged"}


# --- at the door ------------------------------------------------------------------------------


def layer_that_says(live: bool) -> LastLayer:
    return LastLayer(np.zeros(FEATURES, np.float32), 9.0 if live else -9.0)


def own(
    engine: VisionEngine, folder: Path, layer: LastLayer, **changed: object
) -> CalibratedCamera:
    made_for = MadeFor(
        source=digest_of(str(folder / "camera")),
        device=None,
        width=480,
        height=640,
        network=engine.liveness.networks[0].weights,
    ).model_copy(update=changed)
    return CalibratedCamera(layer, CalibrationRecord(made_for=made_for, state=STATE))


def test_the_cameras_own_layer_decides(
    tmp_path: Path, scenes: dict[str, Scene], engine: VisionEngine, portraits: Path
) -> None:
    for name, live in (("a", False), ("b", True)):
        folder = tmp_path / name
        calibrated = own(engine, folder, layer_that_says(live))
        frames = scenes["registered"].frames
        with recognizing(
            folder, engine, frames, [portraits / "obama.jpg"], calibrated=calibrated, loop=True
        ) as door:
            wait_until(lambda: door.told, "a decision")
        assert (door.reasons[0] == "presentation_attack") is not live
        assert door.recognition.calibrated is not None


def test_the_networks_keep_a_veto_where_they_are_sure_of_an_attack(
    samples: Path, engine: VisionEngine
) -> None:
    for name, is_live in (("genuine", True), ("replay_attack", False)):
        bgr = np.asarray(cv2.imread(str(samples / f"{name}.jpg")), np.uint8)
        face, *_ = engine.detect(bgr)
        assert (engine.live_score_by(layer_that_says(True), bgr, face) > 0.9) is is_live
        assert engine.live_score_by(layer_that_says(False), bgr, face) < 0.1


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"source": "another"}, "camera"),
        ({"width": 320, "height": 240}, "size"),
        ({"network": "another"}, "networks"),
    ],
)
def test_another_camera_is_judged_by_the_networks_and_told_once(
    tmp_path: Path,
    scenes: dict[str, Scene],
    engine: VisionEngine,
    portraits: Path,
    changed: dict[str, object],
    why: str,
) -> None:
    calibrated = own(engine, tmp_path / "door", layer_that_says(False), **changed)
    with recognizing(
        tmp_path / "door",
        engine,
        scenes["registered"].frames,
        [portraits / "obama.jpg"],
        calibrated=calibrated,
        loop=True,
    ) as door:
        wait_until(lambda: door.told, "a decision")
        assert Calibrations(door.core.database, door.core.events).dropped() == {"front": why}
    assert door.reasons[0] != "presentation_attack"
    assert door.recognition.calibrated is None


def test_a_drop_that_cannot_be_written_still_ends_its_use(
    tmp_path: Path, scenes: dict[str, Scene], engine: VisionEngine
) -> None:
    def full(_camera: str, _why: str) -> None:
        raise DatabaseUnwritable("the disk is full")

    told: list[Announcement] = []
    name, rates = engine.recognizer.name, engine.recognizer.rates
    loop = Recognition(
        CameraReader(CameraSettings.model_validate({**UNMOVED, "source": str(tmp_path)})),
        engine,
        Roster(name, {name: rates}, Risk(), ()),
        Doorkeeper(lambda each, _camera: told.append(each)),
        Policy(),
        Metrics(),
        calibrated=own(engine, tmp_path, layer_that_says(True), network="another"),
        drop=full,
    )
    for number, jpeg in enumerate(scenes["print"].frames, 1):
        loop.see(Frame(decode_image(jpeg), number, 1000.0 + number / 10, "front"))
    assert loop.calibrated is None
    assert [each.decision.success for each in told] == [False]


# --- the doctor -------------------------------------------------------------------------------


def checked(path: Path, source: str = "/dev/video0") -> list[tuple[str, Level, str]]:
    settings = Settings.model_validate(
        {"store": {"path": path}, "cameras": [{"name": "front", "source": source}]}
    )
    return [(each.name, each.level, each.found) for each in check_calibration(settings)]


def test_the_doctor_names_it_and_why_it_was_dropped(path: Path) -> None:
    source = "/dev/video0"
    made_for = MADE_FOR.model_copy(update={"source": digest_of(source)})
    with Database.open(path) as database:
        calibrations = Calibrations(database, Events(database))
        assert checked(path) == []
        calibrations.sat_together("front", made_for, sitting(), RECOGNIZERS, ACCESS, NOW)
        ((name, level, found),) = checked(path)
        assert (name, level) == ("calibration front", Level.GREEN)
        assert "of 2026-11-29, 1 sitting(s) of 4 people" in found
        assert "print 0 of 4 (by default 4)" in found
        ((_, level, found),) = checked(path, "/dev/video1")
        assert (level, found) == (Level.YELLOW, "dropped: it was made for another camera")
        calibrations.drop("front", "size", NOW)
        ((_, level, found),) = checked(path)
        assert (level, found) == (Level.YELLOW, "dropped: it was made for pictures of another size")


# --- sittings ---------------------------------------------------------------------------------


@pytest.fixture
def front(tmp_path: Path, scenes: dict[str, Scene]) -> Iterator[CameraReader]:
    folder = tmp_path / "camera"
    folder.mkdir()
    for number, jpeg in enumerate(scenes["registered"].frames[:20]):
        (folder / f"{number:03}.jpg").write_bytes(jpeg)
    with CameraReader(
        CameraSettings(name="front", source=str(folder), fps=20, loop=True)
    ) as camera:
        yield camera


def a_tick_each() -> Callable[[], float]:
    """A clock that goes on by a picture's time whenever it is read, however slow the machine."""
    return partial(next, itertools.count(0.0, 0.05))


def test_a_presentation_before_the_camera_and_nothing_is_kept_of_its_pictures(
    front: CameraReader, engine: VisionEngine, tmp_path: Path
) -> None:
    found, made_for = watched(front, engine, LIVE, "ann", 8.0, clock=a_tick_each())
    assert (found.kind, found.person) == (LIVE, "ann")
    assert found.features.shape == (len(found.scores), FEATURES)
    assert len(found.scores) >= 10
    assert found.look is not None
    assert (made_for.width, made_for.height) == (480, 640)
    assert {file.name for file in tmp_path.iterdir()} == {"camera"}


def test_pictures_that_are_kept_are_a_sitting_that_can_be_taken_again(
    front: CameraReader, engine: VisionEngine, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    sat, _ = watched(front, engine, "phone", "ann", 7.0, keep=kept, clock=a_tick_each())
    (clip,) = (kept / "attack/phone").iterdir()
    assert clip.name.startswith("ann-")
    assert stat.S_IMODE(clip.stat().st_mode) == 0o700
    assert len(list(clip.glob("*.jpg"))) >= len(sat.scores)
    assert (kept / "rate.txt").read_text() == "2\n"


def test_pictures_that_cannot_be_kept_are_an_error(
    front: CameraReader, engine: VisionEngine, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.write_text("no folder")
    with pytest.raises(PicturesNotKept, match="kept"):
        watched(front, engine, LIVE, "ann", 5.0, keep=kept)


def test_too_few_good_frames_are_an_error_that_says_what_to_do(
    front: CameraReader, engine: VisionEngine
) -> None:
    with pytest.raises(NoFace, match="nearer"):
        watched(front, engine, LIVE, "ann", 0.2)


def folder_of(folder: Path, scenes: dict[str, Scene], *, size: int | None = None) -> Path:
    """Four names, of which three are one person's, each live and twice attacked. `size` is that of
    the last clip's pictures."""
    shown = {LIVE: "registered", "print": "print", "phone": "phone"}
    for kind, scene in shown.items():
        for person in PEOPLE:
            where = folder / (LIVE if kind == LIVE else f"attack/{kind}") / f"{person}-1"
            where.mkdir(parents=True)
            name = "stranger" if (kind, person) == (LIVE, "dan") else scene
            for number, jpeg in enumerate(scenes[name].frames[::3]):
                (where / f"{number:02}.jpg").write_bytes(jpeg)
    if size is not None:
        for file in (folder / "attack/print/dan-1").iterdir():
            picture = np.asarray(cv2.imread(str(file)), np.uint8)
            cv2.imwrite(str(file), cv2.resize(picture, (size, size)))
    return folder


def test_a_recording_of_two_cameras_is_refused(
    tmp_path: Path, scenes: dict[str, Scene], engine: VisionEngine
) -> None:
    folder = folder_of(tmp_path, scenes, size=300)
    with pytest.raises(SittingMixed, match="300 × 300"):
        recorded(clips_in(folder), engine, "0")


# --- the command ------------------------------------------------------------------------------


def test_nobody_sits_who_has_not_agreed(tmp_path: Path, portraits: Path, models: Path) -> None:
    config = write_config(tmp_path, 1883, models, portraits)
    refused = ostiary("calibrate", "--people", "ann,ben", typed="n\n", config=config)
    assert refused.returncode != 0
    assert "not_allowed" in refused.stderr
    assert "each of them by print, phone, tablet" in refused.stderr


@pytest.mark.long
def test_a_sitting_at_the_camera_is_kept_presentation_by_presentation(
    tmp_path: Path, scenes: dict[str, Scene], models: Path
) -> None:
    camera = tmp_path / "camera"
    camera.mkdir()
    for number, jpeg in enumerate(scenes["registered"].frames[:20]):
        (camera / f"{number:03}.jpg").write_bytes(jpeg)
    config = write_config(tmp_path, 1883, models, camera)
    asked = ("--yes", "--people", "ann,ben", "--attacks", "phone", "--seconds", "7")
    done = ostiary("calibrate", *asked, config=config)
    assert done.returncode == 65
    assert "sitting_incomplete" in done.stderr
    assert "2 people with 10 good frames or more; 4 needed" in done.stderr
    with sqlite3.connect(tmp_path / "ostiary.db") as connection:
        assert connection.execute("SELECT COUNT(*) FROM presentations").fetchone() == (4,)
        assert connection.execute("SELECT COUNT(*) FROM calibrations").fetchone() == (0,)


def test_one_person_under_four_names_calibrates_nothing(
    tmp_path: Path, scenes: dict[str, Scene], models: Path
) -> None:
    config = write_config(tmp_path, 1883, models, tmp_path)
    done = ostiary("calibrate", "--from", str(folder_of(tmp_path / "site", scenes)), config=config)
    assert done.returncode == 65
    assert "sitting_mixed: ann and ben are one person" in done.stderr
    with sqlite3.connect(tmp_path / "ostiary.db") as connection:
        assert connection.execute("SELECT COUNT(*) FROM presentations").fetchone() == (0,)


@pytest.mark.parametrize(
    ("broken", "code"),
    [("no live", "clips_invalid"), ("two prints", "clips_invalid"), ("print alone", "sitting_inc")],
)
def test_a_folder_that_is_no_sitting_is_refused_by_name(
    tmp_path: Path, scenes: dict[str, Scene], models: Path, broken: str, code: str
) -> None:
    folder = folder_of(tmp_path / "site", scenes)
    if broken == "no live":
        shutil.rmtree(folder / LIVE)
    elif broken == "two prints":
        for name in ("ann-1", "ben-1"):
            shutil.rmtree(folder / "attack/print" / name)
    else:
        shutil.rmtree(folder / "attack/phone")
    config = write_config(tmp_path, 1883, models, tmp_path)
    done = ostiary("calibrate", "--from", str(folder), config=config)
    assert done.returncode == 65
    assert code in done.stderr


def test_a_door_that_was_never_calibrated_has_nothing_to_forget(
    tmp_path: Path, models: Path, portraits: Path
) -> None:
    config = write_config(tmp_path, 1883, models, portraits)
    done = ostiary("calibrate", "--forget", config=config)
    assert done.returncode == 66
    assert "not_calibrated" in done.stderr


@pytest.mark.long
def test_a_real_sitting_tells_other_people_at_that_camera_from_attacks_on_them(
    tmp_path: Path, attacks: Path, models: Path, engine: VisionEngine
) -> None:
    config = write_config(tmp_path, 1883, models, tmp_path)
    done = ostiary("calibrate", "--from", str(attacks / "site"), config=config)
    assert done.returncode == 0, done.stderr
    figures = {each["kind"]: each for each in json.loads(done.stdout)["figures"]}
    assert figures["print"]["wrong"] == 0 < figures["print"]["wrong_by_default"]
    with Database.open(tmp_path / "ostiary.db") as database:
        layer = Calibrations(database, Events(database)).in_force(NOW)["front"].layer
    door, _ = recorded(clips_in(attacks / "door"), engine, "0")
    passed: dict[str, list[bool]] = {}
    for each in door:
        scores = [
            score if score <= VETO else layer.probability(row)
            for row, score in zip(each.features, each.scores, strict=True)
        ]
        if scores:
            passed.setdefault(each.kind, []).append(float(np.mean(np.array(scores) >= 0.8)) > 0.5)
    live = passed.pop(LIVE)
    assert sum(live) >= 0.95 * len(live)
    assert sum(map(sum, passed.values())) <= 1
