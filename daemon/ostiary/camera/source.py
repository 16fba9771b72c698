"""Which kind of camera a setting names: the one list of them."""

from ostiary.camera.address import SourceKind, kind_of
from ostiary.camera.picture import Source
from ostiary.settings import CameraSettings


def open_source(settings: CameraSettings) -> Source:
    """Open what `settings.source` names. Raises CameraUnavailable, saying what to do."""
    # Imported here: each pulls in what only its kind of camera needs.
    match kind_of(settings.source):
        case SourceKind.FOLDER:
            from ostiary.camera.folder import FolderSource

            return FolderSource(settings)
        case SourceKind.HTTP:
            from ostiary.camera.mjpeg import MjpegSource

            return MjpegSource(settings)
        case SourceKind.FILE:
            from ostiary.camera.video import FileSource

            return FileSource(settings)
        case SourceKind.RTSP:
            from ostiary.camera.video import RtspSource

            return RtspSource(settings)
        case SourceKind.V4L2:
            from ostiary.camera.v4l2.source import DeviceSource

            return DeviceSource(settings)
