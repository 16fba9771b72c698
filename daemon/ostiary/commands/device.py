"""Commands to the device: ping, snapshot, reload."""

from ostiary import __version__
from ostiary.commands.registry import Context, Deed, Effect, command
from ostiary.commands.services import CommandServices
from ostiary.errors import CameraUnavailable, NotAllowed
from ostiary.messages.commands.device import (
    PingAnswer,
    PingRequest,
    ReloadAnswer,
    ReloadRequest,
    SnapshotAnswer,
    SnapshotRequest,
)
from ostiary.vision.image import at_most_wide, encode_jpeg

SNAPSHOT_QUALITY = 85  # JPEG, of 100


@command("ping")
def ping(services: CommandServices, _request: PingRequest, _context: Context) -> Effect[PingAnswer]:
    return lambda: PingAnswer(version=__version__, timestamp=services.clock())


@command("snapshot")
def snapshot(
    services: CommandServices, request: SnapshotRequest, _context: Context
) -> Effect[SnapshotAnswer]:
    name, camera = services.camera(request.camera)
    image = camera.latest
    if image is None:
        raise CameraUnavailable(f"Camera {name} gives no picture; see `state`.")
    if request.show:
        if not services.settings.mqtt.event_pictures:
            raise NotAllowed("mqtt.event_pictures is off: no picture is shown on the bus.")
        services.show_picture(name, image)
    if request.width is not None:
        image = at_most_wide(image, request.width)
    height, width = image.shape[:2]
    answer = SnapshotAnswer(
        image=encode_jpeg(image, SNAPSHOT_QUALITY),
        camera=name,
        width=width,
        height=height,
        timestamp=services.clock(),
    )
    return lambda: answer


def _reloaded(_request: ReloadRequest, _answer: ReloadAnswer) -> Deed:
    return Deed("reloaded", "")


@command("reload", changes=True, acts=True, while_locked=True, audit=_reloaded)
def reload(
    services: CommandServices, _request: ReloadRequest, _context: Context
) -> Effect[ReloadAnswer]:
    """Start anew. The new door is made beside the running one, which takes its time and the
    database. It runs while the store is locked, as the new settings may name the key."""
    services.reload()
    answer = ReloadAnswer(message="The door starts anew with the configuration as it is now.")
    return lambda: answer
