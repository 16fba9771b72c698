"""Every setting, declared once: name, type, range, default and what it is for.

The tree is read from a TOML file and from the environment (`OSTIARY_MQTT__HOST=broker` sets
`mqtt.host`; the environment wins). `config/ostiary.toml` is generated from these classes by
`ostiary config --defaults`, and `make lint` fails when it is stale.
"""

import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from ostiary.errors import ConfigError
from ostiary.messages.events import NOT_A_CAMERA
from ostiary.messages.recognizer import RecognizerName

TopicLevel = Annotated[str, Field(pattern=r"^[^/+#\s]{1,64}$")]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(ge=0.0)]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


LARGEST_DISTANCE: dict[RecognizerName, float] = {"sface": 1.25, "dlib": 0.63}
"""Above these, one stranger in forty is taken for a given person by a single comparison
(resources/recognition.toml): no door should be set so."""


def _not_reserved(name: str) -> str:
    if name in NOT_A_CAMERA:
        raise ValueError(f"{name} stands for something else in events; choose another name")
    return name


CameraName = Annotated[TopicLevel, AfterValidator(_not_reserved)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DeviceSettings(Section):
    """Which door this is."""

    id: TopicLevel = Field(
        "door", description="Names this door in every topic: ostiary/<id>/…  No /, +, # or space."
    )
    name: str = Field("Door", description="How people call it; shown in Home Assistant.")
    key_file: Path | None = Field(
        None,
        description="PEM file of the door's own Ed25519 key, which signs …/door. Unset: systemd's "
        "credential door-key, or one that is made beside the database. `ostiary door-key` shows "
        "its public half.",
    )


class CameraSettings(Section):
    """One camera. Repeat the table for several (in and out)."""

    name: CameraName = Field(
        "front", description="Names the camera in events. Not mqtt, http or cli."
    )
    source: str = Field(
        "0",
        description="A device number (0), a device path (/dev/v4l/by-id/…), rtsp://…, http://… "
        "(MJPEG), a video file, or a folder of images.",
    )
    width: int = Field(640, ge=64, le=7680, description="Requested width, pixels.")
    height: int = Field(480, ge=64, le=4320, description="Requested height, pixels.")
    fps: float = Field(15.0, gt=0, le=120, description="Requested rate, frames a second.")
    loop: bool = Field(False, description="Begin a file or folder again when it ends.")
    relay_line: int | str | None = Field(
        None,
        examples=[27],
        description="The line of [relay] that opens the door of this camera. Unset: relay.line.",
    )
    stall_after_s: float = Field(
        3.0, gt=0, description="Without a new picture for so long, the camera counts as stalled."
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
        "v2", description="v2: MiniFASNetV2 alone. ensemble: mean of V2 and V1SE (half as fast)."
    )
    provider: str = Field(
        "cpu", description="ONNX Runtime's execution provider: cpu, openvino, cuda, …"
    )
    threads: int = Field(1, ge=1, le=64, description="Threads a network may use.")
    whole_frame_every_s: float = Field(
        1.0,
        ge=0,
        description="While one face is followed, only its surroundings are searched; the whole "
        "frame once in so long.",
    )
    min_face_px: float = Field(
        80.0, ge=20, description="Least width of a face that is judged, pixels of the frame."
    )
    min_inside: Fraction = Field(
        0.9, description="Least share of the face's box that lies inside the picture."
    )
    max_yaw: float = Field(
        0.5,
        gt=0,
        description="How far the nose may be off the middle of the face, in eye distances: "
        "0 is frontal, 0.3 about 30°, 0.5 about 45°.",
    )
    min_brightness: float = Field(
        30.0, ge=0, le=255, description="Least mean brightness of a face, 0 to 255."
    )
    max_over_exposed: Fraction = Field(
        0.4, description="Largest share of a face's pixels that are nearly white."
    )
    min_sharpness: float = Field(
        0.015,
        ge=0,
        description="Least sharpness (Laplacian variance over variance): 0.015 lets all but a "
        "smear through, a sharp face has 0.05 and more.",
    )


LEAST_LIVE = 0.5
"""The floor of `access.live_threshold`: below it more speaks for an attack than against it."""


class AccessSettings(Section):
    """When somebody may pass."""

    false_accept: float = Field(
        0.001,
        ge=1e-6,
        le=0.1,
        description="The risk that one stranger who steps up is taken for anybody: 0.001 is one in "
        "a thousand. The door's distance threshold follows from it and from how many templates are "
        "registered now.",
    )
    distance_threshold: float | None = Field(
        None,
        gt=0,
        le=max(LARGEST_DISTANCE.values()),
        examples=[1.1],
        description="Instead of false_accept: the largest Euclidean distance, in the recogniser's "
        "own metric, that is still the same person, however many are registered. `ostiary doctor` "
        "says what risk that is.",
    )
    migrate: bool = Field(
        True,
        description="People with templates of another recogniser only are still known by it, and "
        "get a template of this one when they are granted by a safe margin.",
    )
    live_threshold: float = Field(
        0.8,
        ge=LEAST_LIVE,
        le=1,
        description="P(live) from which a frame counts as showing a live person.",
    )
    attack_threshold: float = Field(
        0.2, ge=0.01, le=1, description="P(live) up to which a frame is a clear attack."
    )
    votes: int = Field(3, ge=2, le=100, description="Frames that must agree…")
    window: int = Field(5, ge=2, le=100, description="…of the last so many of a track.")
    decide_within_s: float = Field(4.0, gt=0, description="A face undecided for so long is denied.")
    cooldown_s: Seconds = Field(
        10.0, description="The same outcome for the same person within so long is one event."
    )
    one_person_only: bool = Field(
        True, description="Deny while several near faces are in view (tailgating)."
    )
    attack_pause_s: float = Field(
        15.0,
        ge=0,
        le=600,
        description="After clear attacks one after the other, nobody is let in for up to so long: "
        "2 s after the first, twice as long after each further one. 0: no pause.",
    )

    @model_validator(mode="after")
    def _can_be_fulfilled(self) -> Self:
        if self.distance_threshold is not None and "false_accept" in self.model_fields_set:
            raise ValueError(
                "false_accept (a risk) and distance_threshold (a distance) are both set; "
                "remove one of them"
            )
        if self.votes > self.window:
            raise ValueError(f"votes ({self.votes}) cannot exceed window ({self.window})")
        if self.attack_threshold >= self.live_threshold:
            raise ValueError(
                f"attack_threshold ({self.attack_threshold}) must be below "
                f"live_threshold ({self.live_threshold})"
            )
        return self


class StoreSettings(Section):
    """Where people and events are kept."""

    path: Path = Field(Path("ostiary.db"), description="The SQLite database.")
    key_file: Path | None = Field(
        None,
        description="File with the key, 32 bytes or more, that seals names, templates, pictures "
        "and audit texts. Unset: systemd's credential store-key; without either they are plain.",
    )
    keep_events_days: float = Field(
        365.0, gt=0, description="Events that were delivered are removed after so many days…"
    )
    keep_events: int = Field(
        200_000, ge=1000, description="…or, oldest first, when there are more than so many."
    )
    queue_limit: int = Field(
        100_000,
        ge=100,
        description="Undelivered events are kept whatever their age. Over so many, the oldest go, "
        "are counted in `state` and logged.",
    )
    keep_snapshots_days: float = Field(
        0.0,
        ge=0,
        description="Keep a small picture with each decision, for so many days. 0: none are kept.",
    )
    keep_answers_hours: float = Field(
        24.0, gt=0, description="How long a command that is delivered again gets its first answer…"
    )
    keep_answers: int = Field(
        50_000,
        ge=1000,
        description="…or, oldest first, when there are more than so many. Signatures that are "
        "still fresh are always kept.",
    )


class MqttSettings(Section):
    """The broker."""

    host: str = Field("127.0.0.1", description="Host name or address of the broker.")
    port: int = Field(1883, ge=1, le=65535, description="TCP port: 1883 plain, 8883 TLS.")
    username: str | None = Field(None, description="User name at the broker.")
    password_file: Path | None = Field(
        None,
        description="File with the password, nothing else. Unset: systemd's credential "
        "mqtt-password, where there is one.",
    )
    allow_anonymous: bool = Field(
        False,
        description="Permit a broker on another machine without user name and certificate: then "
        "anybody there can command this door.",
    )
    tls: bool = Field(
        False, description="Encrypt (TLS 1.2 or newer) and check the broker's certificate."
    )
    tls_ca: Path | None = Field(
        None,
        description="PEM file of the CA that issued the broker's certificate. Unset: the "
        "system's CAs.",
    )
    tls_certificate: Path | None = Field(
        None, description="PEM file of this door's own certificate, where the broker wants one."
    )
    tls_key: Path | None = Field(None, description="PEM file of its private key.")
    base_topic: TopicLevel = Field("ostiary", description="First level of every topic.")
    keepalive_s: int = Field(15, ge=1, le=3600, description="Seconds between pings.")
    reconnect_at_most_s: float = Field(
        30.0, ge=0.5, le=3600, description="Longest wait before another try to connect."
    )
    session_expiry_s: int = Field(
        3600,
        ge=60,
        le=0xFFFFFFFE,
        description="How long the broker keeps commands for a daemon that is away.",
    )
    window: int = Field(
        16, ge=1, le=1000, description="Events sent and not yet acknowledged, at most."
    )
    resend_s: Seconds = Field(
        30.0,
        description="After a broken connection, send events acknowledged within so long before it "
        "once more (same event_id): a broker that died may not have stored them. Keep it above "
        "the broker's autosave_interval.",
    )
    door_expiry_s: int = Field(
        60, ge=1, le=3600, description="A granted decision older than this opens no door."
    )
    response_prefixes: tuple[str, ...] = Field(
        (),
        description="MQTT 5 Response Topics are honoured under <base>/<id>/response/ and under "
        "these beginnings.",
    )
    discovery: bool = Field(
        False, description="Announce the door to Home Assistant; false takes it back."
    )
    discovery_prefix: TopicLevel = Field(
        "homeassistant", description="Where Home Assistant listens for announcements."
    )

    @model_validator(mode="after")
    def _nobody_anonymous_from_afar(self) -> Self:
        known = self.username is not None or self.tls_certificate is not None
        if not known and not self.allow_anonymous and not _is_loopback(self.host):
            raise ValueError(
                f"the broker {self.host} is another machine: set username and password_file, or "
                "tls_certificate and tls_key, or allow_anonymous = true"
            )
        return self


class CommandSettings(Section):
    """What may be asked over MQTT and HTTP, and how large."""

    allow_unverified_enrolment: bool = Field(
        False, description='Permit `"require_live": false` in register: enrol from a photo.'
    )
    payload_limit_bytes: int = Field(
        8 * 1024 * 1024, ge=1024, description="Largest accepted command."
    )
    image_pixel_limit: int = Field(
        25_000_000, ge=4096, description="Largest accepted image, width × height."
    )
    image_side_limit: int = Field(10_000, ge=64, description="Largest accepted width or height.")
    camera_timeout_s: float = Field(
        8.0, gt=0, description='How long `"source": "camera"` waits for a good face.'
    )
    enrol_s: float = Field(
        4.0,
        ge=0,
        le=20,
        description="So long after its first picture the camera waits, at enrolment, for a look "
        "with the head a little to the left and one to the right. 0: one picture is enough.",
    )
    queue_limit: int = Field(
        16, ge=1, le=1000, description="Commands that may wait; more are answered `busy`."
    )
    denied_logins_per_minute: float = Field(
        60.0,
        gt=0,
        le=60_000,
        description="Pictures sent with `login` that may be denied, over MQTT and over HTTP each; "
        "more are not looked at. Who may try without end finds a picture that passes.",
    )
    time_limit_s: float = Field(
        30.0, gt=0, description="A command not done so long after it came has no effect."
    )
    signed: bool = Field(False, description="Take only commands signed with the shared key.")
    signing_key_file: Path | None = Field(
        None,
        description="File with the shared key, 32 bytes or more. Unset: systemd's credential "
        "command-key.",
    )
    signing_keys: Path | None = Field(
        None,
        description="Instead of one shared key: a folder with a key file a client, named as the "
        "client names itself in its commands. Remove the file and reload: it is refused.",
    )
    signing_client: str | None = Field(
        None, description="The name with which this machine's own `ostiary` commands are signed."
    )
    signature_age_s: float = Field(
        60.0, gt=0, le=3600, description="A signed command older or newer than this is refused."
    )


class RelaySettings(Section):
    """A relay at this machine that opens the door (needs the extra `ostiary[gpio]`)."""

    enabled: bool = Field(False, description="Pulse it when a camera's face is granted.")
    chip: Path = Field(Path("/dev/gpiochip0"), description="The GPIO chip.")
    line: int | str = Field(17, description="The line on the chip: its offset or its name.")
    active_low: bool = Field(False, description="The relay draws when the line is low.")
    pulse_s: float = Field(3.0, gt=0, le=60, description="How long the lock is held open, seconds.")


class HttpSettings(Section):
    """The local console and the HTTP API (needs the extra `ostiary[console]`)."""

    enabled: bool = Field(False, description="Serve it.")
    host: str = Field("127.0.0.1", description="Address to bind.")
    port: int = Field(8080, ge=1, le=65535, description="TCP port.")
    tls_certificate: Path | None = Field(
        None, description="PEM file, the certificate first. Needed unless host is loopback."
    )
    tls_key: Path | None = Field(None, description="PEM file of its private key.")
    legacy_api: Literal["off", "token", "socket"] = Field(
        "off",
        description="The first version's /register, /login and /users. token: with an operator's "
        "API token. socket: that, and without one over the Unix socket legacy_socket, whose "
        "file's permissions say who may. (loopback, of older files, is read as token: any program "
        "of this machine, and anybody behind a proxy, was an operator.)",
    )
    legacy_socket: Path = Field(
        Path("/run/ostiary/legacy.sock"),
        description="The Unix socket; the daemon's user and group may use it.",
    )
    session_hours: float = Field(
        12.0, gt=0, le=720, description="Sign in again after so long, or after a restart."
    )
    sign_in_tries: int = Field(
        5,
        ge=1,
        le=100,
        description="Wrong passwords in a row that lock an account for a minute, "
        "then for longer each time.",
    )
    requests_per_second: float = Field(
        30.0, gt=0, le=10_000, description="Of one client, on average; three times as many at once."
    )
    viewers: int = Field(8, ge=0, le=100, description="Live pictures watched at the same time.")
    live_fps: float = Field(8.0, gt=0, le=30, description="Live pictures a second, at most.")
    live_width: int = Field(640, ge=160, le=1920, description="Their width, pixels, at most.")
    connections: int = Field(200, ge=8, le=10_000, description="Open at the same time, at most.")
    connections_per_address: int = Field(
        64,
        ge=4,
        le=10_000,
        description="Of one address. Where there are more, the one that has waited longest "
        "without a request is closed.",
    )
    request_timeout_s: float = Field(
        15.0, gt=0, le=600, description="A request not received so long after it began is refused."
    )

    @field_validator("legacy_api", mode="before")
    @classmethod
    def _nobody_is_an_operator_for_being_near(cls, value: object) -> object:
        return "token" if value == "loopback" else value


class ServiceSettings(Section):
    """The daemon itself."""

    state_every_s: float = Field(30.0, gt=0, description="How often `state` is published.")
    metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Prometheus metrics at http://127.0.0.1:<port>/metrics; 0: none.",
    )


class LogSettings(Section):
    """What is written, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least important line that is written."
    )
    format: Literal["auto", "text", "json"] = Field(
        "auto",
        description="auto: entries with fields in systemd's journal, text on a terminal, "
        "JSON otherwise.",
    )


class Settings(BaseSettings):
    """The whole tree."""

    model_config = SettingsConfigDict(
        env_prefix="OSTIARY_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    device: DeviceSettings = Field(default_factory=DeviceSettings)
    cameras: tuple[CameraSettings, ...] = Field(
        default_factory=lambda: (CameraSettings(),), min_length=1
    )
    vision: VisionSettings = Field(default_factory=VisionSettings)
    access: AccessSettings = Field(default_factory=AccessSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    mqtt: MqttSettings = Field(default_factory=MqttSettings)
    commands: CommandSettings = Field(default_factory=CommandSettings)
    relay: RelaySettings = Field(default_factory=RelaySettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    service: ServiceSettings = Field(default_factory=ServiceSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    @model_validator(mode="after")
    def _the_distance_keeps_strangers_out(self) -> Self:
        distance, used = self.access.distance_threshold, self.vision.recognizer
        if distance is not None and distance > LARGEST_DISTANCE[used]:
            raise ValueError(
                f"access.distance_threshold: {distance:g} would let strangers in; with {used} it "
                f"is {LARGEST_DISTANCE[used]:g} at most"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _a_distance_from_before_sface_is_dlibs(cls, data: Any) -> Any:
        """Files written when dlib was the only recogniser set its distance and name none: such a
        door goes on as it was."""
        if not isinstance(data, dict):
            return data
        access, vision = data.get("access"), data.get("vision", {})
        if not isinstance(access, dict) or not isinstance(vision, dict):
            return data
        if access.get("distance_threshold") is None or "recognizer" in vision:
            return data
        return {**data, "vision": {**vision, "recognizer": "dlib"}}


def load_settings(path: Path | None) -> Settings:
    """Read the settings from `path` (None: defaults) and the environment.

    Raises ConfigError that names every key that is unknown or has a wrong value.
    """

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            if path is None:
                return (env_settings,)
            return (env_settings, TomlConfigSettingsSource(settings_cls, toml_file=path))

    where = path if path is not None else "the environment"
    if path is not None and not path.is_file():
        raise ConfigError(f"{path}: no such file. Start from config/ostiary.toml.")
    try:
        return FromFile()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{where}: not valid TOML: {error}") from error
    except ValidationError as error:
        raise ConfigError(f"{where}: {describe_validation(error)}") from None


def describe_validation(error: ValidationError) -> str:
    """One line a problem: the dotted key and what is wrong. Never the given value."""
    lines = []
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        key = ".".join(str(part) for part in problem["loc"]) or "(top)"
        unknown = problem["type"] == "extra_forbidden"
        said = "unknown key" if unknown else problem["msg"].removeprefix("Value error, ")
        lines.append(f"{key}: {said}")
    return "; ".join(lines)
