"""A real RTSP server for tests: GStreamer's, as a process of its own that can be killed or frozen.

Debian packages: python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base
gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly (x264). GStreamer's Python binding belongs to
Debian's own interpreter, so this file is both the helper that a test imports and the program
that `/usr/bin/python3` runs. It speaks RTP over TCP only, so a client that works used TCP.

    with RtspServer(port, frames=folder) as server: …            # 00000.jpg, 00001.jpg, … looped
    with RtspServer(port, width=640, height=480) as server: …    # a clock that `shown_at` reads
"""

import argparse
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Self

PYTHON = "/usr/bin/python3"
BITS, BLOCK = 32, 16
ENCODER = (
    "x264enc tune=zerolatency speed-preset=ultrafast pass=quant quantizer=20 key-int-max={fps} "
    "threads=1"
)
"""Of one quality throughout: at a bit rate a held picture may come better and worse by turns. One
thread, so one slice a picture: who joins in the midst of a key frame would see the rest of it."""


class RtspServer:
    """Serves `rtsp://127.0.0.1:<port>/door` (H.264, a key frame a second)."""

    def __init__(
        self,
        port: int,
        *,
        frames: Path | None = None,
        width: int = 640,
        height: int = 480,
        fps: int = 15,
        login: str | None = None,
    ) -> None:
        self.url = f"rtsp://127.0.0.1:{port}/door"
        self._command = [PYTHON, __file__, f"--port={port}", f"--fps={fps}"]
        self._command += [f"--width={width}", f"--height={height}"]
        self._command += [f"--frames={frames}"] if frames else []
        self._command += [f"--login={login}"] if login else []
        self._process: subprocess.Popen[str] | None = None

    @staticmethod
    def missing() -> str | None:
        """What keeps this server from starting here, or None."""
        probe = "import gi; gi.require_version('GstRtspServer', '1.0')"
        probe += "; gi.require_version('Gst', '1.0'); from gi.repository import Gst; Gst.init([])"
        probe += "; assert Gst.ElementFactory.find('x264enc')"
        try:
            done = subprocess.run([PYTHON, "-c", probe], capture_output=True, check=False)
        except FileNotFoundError:
            return f"no {PYTHON}"
        if done.returncode == 0:
            return None
        return (
            "apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base "
            "gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"
        )

    def start(self) -> Self:
        """Return when pictures can be had. Raises RuntimeError when the server ends instead."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "ready":
            self.kill()
            raise RuntimeError(f"the RTSP server did not start: {self.missing()}")
        return self

    def kill(self) -> None:
        """End it as a power cut would: no TEARDOWN, no goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def freeze(self) -> None:
        """Stop the process: connections stay open and say nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def hold_picture(self) -> None:
        """Go on streaming, the same picture again and again (clock only). Again to let go."""
        self._signal(signal.SIGUSR1)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()


def shown_at(image: Any) -> float:
    """The monotonic time (s) at which the clock picture `image` (H, W, 3) was made."""
    row = image[BLOCK // 2, BLOCK // 2 : BITS * BLOCK : BLOCK].mean(axis=-1)
    return sum(1 << bit for bit in range(BITS) if row[bit] > 127) / 1000.0


# --- the program that /usr/bin/python3 runs --------------------------------------------------


def clock_picture(width: int, height: int, milliseconds: int) -> bytes:
    """I420: the time as black and white blocks along the top, below them stripes that move."""
    top = b"".join(
        bytes([235 if milliseconds >> bit & 1 else 16]) * BLOCK for bit in range(BITS)
    ).ljust(width, b"\x10")
    shift = milliseconds // 20 % 64
    ramp = bytes(40 + 3 * ((x + shift) % 64) for x in range(width))
    chroma = b"\x80" * ((width // 2) * (height // 2) * 2)
    return top * BLOCK + ramp * (height - BLOCK) + chroma


def encode(options: argparse.Namespace) -> None:
    """Write an H.264 byte stream of pictures that show their numbers (`shown_at` times 1000)."""
    import gi  # type: ignore[import-not-found,import-untyped,unused-ignore]

    gi.require_version("Gst", "1.0")
    from gi.repository import Gst  # type: ignore[import-not-found,import-untyped,unused-ignore]

    Gst.init([])
    width, height, fps = options.width, options.height, options.fps
    pipeline = Gst.parse_launch(
        "appsrc name=source format=time caps=video/x-raw,format=I420,"
        f"width={width},height={height},framerate={fps}/1 ! {ENCODER.format(fps=options.gop)} "
        f"threads=1 ! video/x-h264,stream-format=byte-stream ! filesink location={options.write}"
    )
    pipeline.set_state(Gst.State.PLAYING)
    source = pipeline.get_by_name("source")
    for number in range(options.pictures):
        buffer = Gst.Buffer.new_wrapped(clock_picture(width, height, number))
        buffer.pts = number * Gst.SECOND // fps
        source.emit("push-buffer", buffer)
    source.emit("end-of-stream")
    pipeline.get_bus().timed_pop_filtered(
        Gst.CLOCK_TIME_NONE, Gst.MessageType.EOS | Gst.MessageType.ERROR
    )
    pipeline.set_state(Gst.State.NULL)


def serve(options: argparse.Namespace) -> None:
    import gi  # type: ignore[import-not-found,import-untyped,unused-ignore]

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtsp", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
        GLib,
        Gst,
        GstRtsp,
        GstRtspServer,
    )

    Gst.init([])
    fps, width, height = options.fps, options.width, options.height
    if options.frames:
        picture = (
            f'multifilesrc location="{options.frames}/%05d.jpg" loop=true '
            f"caps=image/jpeg,framerate={fps}/1 ! jpegdec"
        )
    else:
        picture = (
            "appsrc name=clock is-live=true do-timestamp=true format=time caps=video/x-raw,"
            f"format=I420,width={width},height={height},framerate={fps}/1"
        )

    class Factory(GstRtspServer.RTSPMediaFactory):  # type: ignore[misc,unused-ignore]
        def do_gen_key(self, _url: object) -> str:
            """One stream for both ports: GStreamer would make each its own."""
            return "door"

    factory = Factory()
    factory.set_launch(
        f"( {picture} ! videoconvert ! {ENCODER.format(fps=fps)} "
        "! rtph264pay name=pay0 pt=96 config-interval=1 )"
    )
    factory.set_shared(True)
    factory.set_protocols(GstRtsp.RTSPLowerTrans.TCP)  # no silent fall-back to UDP

    held = threading.Event()

    def toggle(*_: object) -> bool:
        (held.clear if held.is_set() else held.set)()
        return True

    def feed(appsrc: Any) -> None:
        due = time.monotonic()
        data, flowing = b"", False
        while True:
            if not (held.is_set() and data):
                data = clock_picture(width, height, int(time.monotonic() * 1000))
            flow = appsrc.emit("push-buffer", Gst.Buffer.new_wrapped(data))
            if flowing and flow != Gst.FlowReturn.OK:
                return  # the last client left; until the first came it is refused too
            flowing = flow == Gst.FlowReturn.OK
            due += 1 / fps
            time.sleep(max(0.0, due - time.monotonic()))

    def configured(_: object, media: Any) -> None:
        appsrc = media.get_element().get_by_name_recurse_up("clock")
        if appsrc is not None:
            threading.Thread(target=feed, args=(appsrc,), daemon=True).start()

    factory.connect("media-configure", configured)
    mounts = GstRtspServer.RTSPMountPoints()
    mounts.add_factory("/door", factory)

    def serve_at(port: int) -> Any:
        server = GstRtspServer.RTSPServer()
        server.set_address("127.0.0.1")
        server.set_service(str(port))
        server.set_mount_points(mounts)
        return server

    public, within = serve_at(options.port), serve_at(0)
    if options.login:
        user, secret = options.login.split(":", 1)
        role = GstRtspServer.RTSPToken()
        role.set_string("media.factory.role", "viewer")
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("viewer", "media.factory.access", True)
        permissions.add_permission_for_role("viewer", "media.factory.construct", True)
        factory.set_permissions(permissions)
        auth = GstRtspServer.RTSPAuth()
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, secret, role)
        public.set_auth(auth)
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGUSR1, toggle)

    # The first client of GStreamer 1.22 sometimes gets nothing at all: the server begins to play
    # before its new TCP branch is linked, and whoever comes meanwhile gets nothing either. So this
    # process is its own first client, at a port that nobody knows, opens the other one when data
    # flow, and keeps the stream going for those that come later.
    within.attach(None)
    first = Gst.parse_launch(
        f"rtspsrc location=rtsp://127.0.0.1:{within.get_bound_port()}/door protocols=tcp "
        "! fakesink name=sink signal-handoffs=true sync=false async=false"
    )
    flows = threading.Event()

    def begin() -> None:
        while not flows.is_set():
            first.set_state(Gst.State.NULL)
            first.set_state(Gst.State.PLAYING)
            flows.wait(1.5)
        GLib.idle_add(open_to_all)

    def open_to_all() -> None:
        if public.attach(None) == 0:
            os._exit(1)
        os.write(1, b"ready\n")

    first.get_by_name("sink").connect("handoff", lambda *_: flows.set())
    # In a thread of its own: to say goodbye it waits for the server, which the loop runs.
    threading.Thread(target=begin, daemon=True).start()
    GLib.MainLoop().run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int)
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--frames")
    parser.add_argument("--login")
    parser.add_argument("--write")
    parser.add_argument("--pictures", type=int)
    parser.add_argument("--gop", type=int)
    parsed = parser.parse_args()
    encode(parsed) if parsed.write else serve(parsed)
