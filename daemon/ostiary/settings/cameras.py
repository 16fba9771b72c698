"""Cameras, and what is looked for in their pictures."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ostiary.messages.events import NOT_A_CAMERA
from ostiary.messages.words import RecognizerName
from ostiary.settings.section import Section, TopicLevel


def _not_reserved(name: str) -> str:
    if name in NOT_A_CAMERA:
        raise ValueError(f"{name} stands for something else in events; choose another name")
    return name


PixelFormat = Literal["auto", "mjpeg", "yuyv"]
CameraName = Annotated[TopicLevel, AfterValidator(_not_reserved)]


class CameraSettings(Section):
    """One camera. Repeat the table for several (in and out)."""

    name: CameraName = Field(
        "front", description="Names the camera in events. Not mqtt, http or cli."
    )
    source: str = Field(
        "0",
        description="A device number (0), a device path (/dev/v4l/by-id/…), rtsp://…, rtsps://…, "
        "http://… or https://… (MJPEG), a video file, or a folder of images. Special characters of "
        "user and password percent-encoded: / is %2F, @ is %40.",
    )
    width: int = Field(640, ge=64, le=7680, description="Requested width, pixels.")
    height: int = Field(480, ge=64, le=4320, description="Requested height, pixels.")
    fps: float = Field(15.0, gt=0, le=120, description="Requested rate, frames a second.")
    pixel_format: PixelFormat = Field(
        "auto",
        description="Of a device: mjpeg, yuyv, or auto, which takes what reaches size and rate. "
        "`ostiary doctor` lists what it offers.",
    )
    exposure_ms: Annotated[float, Field(ge=0.1, le=1000)] | Literal["auto"] | None = Field(
        None,
        examples=[10.0],
        description='Of a device: how long a picture is exposed, milliseconds, or "auto". A '
        "shorter time blurs less and gives darker pictures. Unset: left as the camera has it.",
    )
    power_line_hz: Literal[0, 50, 60] | None = Field(
        None,
        examples=[50],
        description="Of a device: the mains' frequency, so that lamps do not flicker in its "
        "pictures; 0: no filter. Unset: left as the camera has it.",
    )
    loop: bool = Field(False, description="Begin a file or folder again when it ends.")
    rotate: Literal[0, 90, 180, 270] = Field(
        0,
        description="Turn its pictures clockwise by so many degrees, so that people stand upright "
        "in them: 180 for a camera that hangs upside down. `ostiary doctor` says which.",
    )
    mirrored: bool = Field(
        False,
        description="The camera's picture is a mirror image: then left is right in challenges.",
    )
    require_movement: bool = Field(
        True,
        description="Let people in only after the camera saw their head move, as it does when "
        "they step up. A print or a photo on a screen stays out.",
    )
    relay_line: int | str | None = Field(
        None,
        examples=[27],
        description="The line of [relay] that opens the door of this camera. Unset: relay.line.",
    )
    direction: Literal["in", "out"] | None = Field(
        None,
        examples=["in"],
        description="Which way people go whom this camera sees; for rules with anti-passback.",
    )
    tls_ca: Path | None = Field(
        None,
        description="For https and rtsps: PEM file with the camera's own certificate, which may "
        "be for any name, or with its issuer's. Unset: https is verified by what the system "
        "trusts, rtsps is encrypted and not verified.",
    )
    open_timeout_s: float = Field(
        10.0,
        ge=1,
        le=120,
        description="How long a network camera may take to answer before the door tries it anew.",
    )
    stall_after_s: float = Field(
        3.0, gt=0, description="A camera without a new picture for so long counts as stalled."
    )


class VisionSettings(Section):
    """What is looked for in a frame, and with which models."""

    models: Path | None = Field(
        None, description="Folder of the models. Unset: resources/models, or the installed one."
    )
    recognizer: RecognizerName = Field(
        "sface",
        description="sface: turns far fewer people away at the same risk (docs/accuracy.md). "
        "dlib: the descriptor of face_recognition and of the first version.",
    )
    liveness: Literal["v2", "ensemble"] = Field(
        "ensemble",
        description="ensemble: MiniFASNetV2 and V1SE together. v2: V2 alone, which needs half the "
        "time and takes more attacks for live people (docs/accuracy.md).",
    )
    provider: str = Field(
        "cpu", description="ONNX Runtime's execution provider: cpu, openvino, cuda, …"
    )
    threads: int = Field(1, ge=1, le=64, description="Threads a network may use.")
    min_face_px: float = Field(
        80.0, ge=20, description="A face is judged from this width on, pixels of the frame."
    )
