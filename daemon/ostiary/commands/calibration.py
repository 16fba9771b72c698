"""The cameras' own last layers: made from sittings, put in force, dropped, forgotten.

Each change is in the audit and told as an event, in one transaction.
"""

import io
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import structlog

from ostiary.decision.calibration import (
    LEAST_PEOPLE,
    CalibratedCamera,
    Calibration,
    Presentation,
    Proof,
    calibrated,
)
from ostiary.errors import LastLayerInvalid, NotCalibrated, SittingMixed
from ostiary.messages.calibration import (
    CalibrationFigure,
    CalibrationRecord,
    CalibrationState,
    MadeFor,
    PresentationRecord,
    WhyDropped,
)
from ostiary.messages.words import DoorWhat, RecognizerName
from ostiary.settings import AccessSettings
from ostiary.store.audit import Audit
from ostiary.store.calibrations import CalibrationStore as Table
from ostiary.store.database import Database
from ostiary.store.events import Events
from ostiary.vision.last_layer import LastLayer
from ostiary.vision.recognizer import ErrorRates

log = structlog.get_logger(__name__)


class Calibrations:
    """The last layers of all cameras. Every method may be called from any thread, and has committed
    on return."""

    def __init__(self, database: Database, events: Events) -> None:
        self._database = database
        self._events = events
        self._audit = Audit(database)
        self._table = Table(database)

    def in_force(self, now: datetime) -> dict[str, CalibratedCamera]:
        """The last layers in use, by the cameras' names. One that does not open is dropped. Raises
        StoreLocked, DatabaseUnwritable."""
        found = {}
        for stored in self._table.all():
            if stored.dropped is not None:
                continue
            try:
                if stored.record is None or stored.layer is None:
                    raise LastLayerInvalid("it does not open.")
                layer = LastLayer.from_bytes(stored.layer)
            except LastLayerInvalid as error:
                log.error("last_layer_invalid", camera=stored.camera, reason=error.message)
                self.drop(stored.camera, "damaged", now)
                continue
            found[stored.camera] = CalibratedCamera(layer, stored.record)
        return found

    def dropped(self) -> dict[str, WhyDropped]:
        """Why a camera's layer is used no more, by its name, until it is calibrated again or
        forgotten."""
        return {each.camera: each.dropped for each in self._table.all() if each.dropped}

    def drop(self, camera: str, why: WhyDropped, now: datetime) -> None:
        """Use a camera's layer no more; it stays stored. Raises DatabaseUnwritable."""
        with self._database.transaction():
            if self._table.drop(camera, why):
                self._tell(camera, DoorWhat.CALIBRATION_DROPPED, now, actor="door", by=why)

    def forget(self, camera: str, now: datetime) -> None:
        """Remove a camera's layer with all its sittings. Raises NotCalibrated,
        DatabaseUnwritable."""
        with self._database.transaction():
            if not self._table.forget(camera):
                raise NotCalibrated(f"{camera} has no last layer of its own; nobody sat for it.")
            by = "forgotten"
            self._tell(camera, DoorWhat.CALIBRATION_DROPPED, now, actor="cli", by=by)
        self._database.scrub()

    def sat(
        self,
        camera: str,
        made_for: MadeFor,
        began: datetime,
        presentation: Presentation,
        *,
        anew: bool = False,
    ) -> None:
        """Store the networks' features of a presentation, no picture. `anew`: instead of all
        earlier ones. Raises SittingMixed where it is of another camera than those before,
        DatabaseUnwritable."""
        record = PresentationRecord(
            sitting=began,
            made_for=made_for,
            kind=presentation.kind,
            person=presentation.person,
            recognizer=presentation.recognizer,
        )
        with self._database.transaction():
            if anew:
                self._table.forget_presentations(camera)
            self._check_camera(camera, made_for)
            self._table.add_presentation(camera, record, _packed(presentation))

    def calibrate(
        self,
        camera: str,
        rates: Mapping[RecognizerName, ErrorRates],
        access: AccessSettings,
        now: datetime,
    ) -> CalibrationState:
        """Fit a last layer on all sittings of a camera, prove it, and put it in force from the next
        start or reload on. Raises what `decision.calibration.calibrated` raises, and
        DatabaseUnwritable; everything stays as it is then."""
        stored = self._table.presentations(camera)
        made_for = self._made_for([record for record, _ in stored])
        found = calibrated(
            self._presentations(camera), rates, access.live_threshold, access.attack_threshold
        )
        sittings = len({record.sitting for record, _ in stored})
        own = own_layer(found, made_for, sittings, now)
        state = own.record.state
        with self._database.transaction():
            self._table.put(camera, own.record, own.layer.to_bytes())
            self._tell(camera, DoorWhat.CALIBRATED, now, actor="cli", state=state)
        return state

    def sat_together(
        self,
        camera: str,
        made_for: MadeFor,
        presentations: Sequence[Presentation],
        rates: Mapping[RecognizerName, ErrorRates],
        access: AccessSettings,
        now: datetime,
        *,
        anew: bool = False,
    ) -> CalibrationState:
        """Store a whole recorded sitting and `calibrate`, in one transaction: where that fails,
        nothing of the recording is kept."""
        with self._database.transaction():
            for number, each in enumerate(presentations):
                self.sat(camera, made_for, now, each, anew=anew and number == 0)
            return self.calibrate(camera, rates, access, now)

    def _presentations(self, camera: str) -> list[Presentation]:
        return [_unpacked(*each) for each in self._table.presentations(camera)]

    def _check_camera(self, camera: str, made_for: MadeFor) -> None:
        for record, _ in self._table.presentations(camera)[-1:]:
            if why := record.made_for.changed(made_for):
                raise SittingMixed(
                    f"{camera}: another {_CHANGED[why]} than in the sitting of "
                    f"{record.sitting:%Y-%m-%d}. Begin anew with --anew, or put it back."
                )

    def _made_for(self, records: Sequence[PresentationRecord]) -> MadeFor:
        if not records:
            raise SittingMixed(f"Nobody sat for this camera yet; {LEAST_PEOPLE} people are needed.")
        return records[-1].made_for

    def _tell(
        self,
        camera: str,
        what: DoorWhat,
        now: datetime,
        *,
        actor: str,
        by: str | None = None,
        state: CalibrationState | None = None,
    ) -> None:
        figures = () if state is None else state.figures
        detail = {each.kind: f"{each.wrong} of {each.presentations} wrong" for each in figures}
        why = {} if by is None else {"why": by}
        self._audit.add(
            actor=actor,
            action=what.value,
            subject=camera,
            address="",
            now=now,
            detail={**detail, **why},
        )
        self._events.append_entrance(door=camera, what=what, now=now, by=by)
        log.warning("calibration", camera=camera, what=what.value, why=by)


def own_layer(
    found: Calibration, made_for: MadeFor, sittings: int, now: datetime
) -> CalibratedCamera:
    """A calibration as it is put in force."""
    figures = tuple(_figure(proof) for proof in found.proofs)
    state = CalibrationState(made_at=now, sittings=sittings, people=found.people, figures=figures)
    return CalibratedCamera(found.layer, CalibrationRecord(made_for=made_for, state=state))


_CHANGED = {"camera": "camera", "size": "size of pictures", "networks": "network"}


def _figure(proof: Proof) -> CalibrationFigure:
    of = proof.default.of
    return CalibrationFigure(
        kind=proof.kind,
        presentations=of,
        wrong=round(proof.calibrated.value * of),
        wrong_by_default=round(proof.default.value * of),
    )


def _packed(presentation: Presentation) -> bytes:
    """Pack a presentation for the store. Half precision keeps what the networks' noise lets
    through."""
    file = io.BytesIO()
    look = presentation.look
    np.savez(
        file,
        features=presentation.features.astype(np.float16),
        scores=presentation.scores.astype(np.float32),
        look=np.zeros(0, np.float32) if look is None else look,
    )
    return file.getvalue()


def _unpacked(record: PresentationRecord, content: bytes) -> Presentation:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        look = arrays["look"]
        return Presentation(
            record.kind,
            record.person,
            arrays["features"].astype(np.float32),
            arrays["scores"],
            look if len(look) else None,
            record.recognizer,
        )
