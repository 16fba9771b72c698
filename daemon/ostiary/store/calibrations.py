"""Each camera's own last layer, and the presentations of the sittings that it was fitted on."""

import sqlite3
from dataclasses import dataclass

import structlog

from ostiary.crypto.seal import Seal
from ostiary.errors import SealBroken
from ostiary.messages.calibration import (
    CalibrationRecord,
    PresentationRecord,
    WhyDropped,
)
from ostiary.store.database import Database
from ostiary.store.sqlite_file import next_number

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoredCalibration:
    """A camera's calibration. `layer`: as `vision.last_layer` writes it. `record` and `layer` are
    None where they do not open. `dropped`: why it is no longer used; None while it is."""

    camera: str
    record: CalibrationRecord | None
    layer: bytes | None
    dropped: WhyDropped | None


class CalibrationStore:
    """The tables `calibrations` and `presentations`. Each change joins the caller's transaction, or
    is one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[StoredCalibration, ...]:
        """All calibrations, by camera. Raises StoreLocked."""
        with self._database.reading() as connection:
            return stored_calibrations(connection, self._database.seal)

    def put(self, camera: str, record: CalibrationRecord, layer: bytes) -> None:
        """Store a calibration in the place of the one that the camera has. Raises StoreLocked."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM calibrations WHERE camera = ?", (camera,))
            number = next_number(connection, "calibrations")
            seal = self._database.seal
            connection.execute(
                "INSERT INTO calibrations (id, camera, about, layer) VALUES (?, ?, ?, ?)",
                (
                    number,
                    camera,
                    seal.text(record.model_dump_json(), "calibration", number, "about"),
                    seal.value(layer, "calibration", number, "layer"),
                ),
            )

    def drop(self, camera: str, why: WhyDropped) -> bool:
        """Stop using a camera's calibration, and keep it; whether there was one in use."""
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE calibrations SET dropped = ? WHERE camera = ? AND dropped IS NULL",
                (why, camera),
            )
            return changed.rowcount > 0

    def forget(self, camera: str) -> bool:
        """Remove a camera's calibration and all its sittings; whether there was anything."""
        with self._database.transaction() as connection:
            removed = [
                connection.execute(f"DELETE FROM {table} WHERE camera = ?", (camera,)).rowcount
                for table in ("calibrations", "presentations")
            ]
            return any(removed)

    def add_presentation(self, camera: str, record: PresentationRecord, content: bytes) -> None:
        """Store one presentation of a sitting; `content` is kept as it is. Raises StoreLocked."""
        with self._database.transaction() as connection:
            number = next_number(connection, "presentations")
            seal = self._database.seal
            connection.execute(
                "INSERT INTO presentations (id, camera, about, content) VALUES (?, ?, ?, ?)",
                (
                    number,
                    camera,
                    seal.text(record.model_dump_json(), "presentation", number, "about"),
                    seal.value(content, "presentation", number, "content"),
                ),
            )

    def forget_presentations(self, camera: str) -> None:
        """Remove a camera's sittings; its calibration stays."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM presentations WHERE camera = ?", (camera,))

    def presentations(self, camera: str) -> tuple[tuple[PresentationRecord, bytes], ...]:
        """A camera's presentations, in the order in which they were stored. Raises StoreLocked,
        SealBroken."""
        seal = self._database.seal
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT id, about, content FROM presentations WHERE camera = ? ORDER BY id",
                (camera,),
            ).fetchall()
        return tuple(
            (
                PresentationRecord.model_validate_json(
                    seal.opened_text(about, "presentation", number, "about")
                ),
                seal.opened_value(content, "presentation", number, "content"),
            )
            for number, about, content in rows
        )


def stored_calibrations(
    connection: sqlite3.Connection, seal: Seal
) -> tuple[StoredCalibration, ...]:
    """All calibrations of a database, which may be open for reading only, by camera; none where its
    schema has no calibrations yet. Raises StoreLocked."""
    known = "SELECT 1 FROM sqlite_master WHERE name = 'calibrations'"
    if connection.execute(known).fetchone() is None:
        return ()
    found = []
    for number, camera, about, layer, dropped in connection.execute(
        "SELECT id, camera, about, layer, dropped FROM calibrations ORDER BY camera"
    ):
        record, opened = None, None
        try:
            text = seal.opened_text(about, "calibration", number, "about")
            record = CalibrationRecord.model_validate_json(text)
            opened = seal.opened_value(layer, "calibration", number, "layer")
        except (SealBroken, ValueError) as error:
            log.error("calibration_not_opened", camera=camera, error=type(error).__name__)
        found.append(StoredCalibration(camera, record, opened, dropped))
    return tuple(found)
