"""Metrics for Prometheus, served to this machine only."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Thread
from wsgiref.simple_server import WSGIServer

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from ostiary.camera.frame import CameraReport, CameraStatus
from ostiary.errors import ConfigError
from ostiary.messages.words import Reason

log = structlog.get_logger(__name__)

LOOPBACK = "127.0.0.1"
STAGE_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
AGE_BUCKETS_S = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """Counts and times of one process, in a registry of its own, from several threads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._frames = Counter(
            "ostiary_frames", "Frames that were looked at", ["camera"], registry=self.registry
        )
        self._faces = Counter(
            "ostiary_faces", "Faces found in frames", ["camera"], registry=self.registry
        )
        self._decisions = Counter(
            "ostiary_decisions", "Decisions", ["reason"], registry=self.registry
        )
        for reason in Reason:  # so that a rate is there before the first one
            self._decisions.labels(reason.value)
        self._stages = Histogram(
            "ostiary_stage_seconds",
            "Time a stage took for one frame or face",
            ["stage"],
            buckets=STAGE_BUCKETS_S,
            registry=self.registry,
        )
        self._age = Histogram(
            "ostiary_frame_age_seconds",
            "Age of the frame at the decision",
            buckets=AGE_BUCKETS_S,
            registry=self.registry,
        )
        self._server: tuple[WSGIServer, Thread] | None = None

    def frame(self, camera: str, faces: int) -> None:
        """Count a frame, and its faces."""
        self._frames.labels(camera).inc()
        self._faces.labels(camera).inc(faces)

    def decision(self, reason: Reason, frame_age_s: float | None = None) -> None:
        """Count a decision, on a frame captured so long ago."""
        self._decisions.labels(reason.value).inc()
        if frame_age_s is not None:
            self._age.observe(frame_age_s)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as one run of `name`: detect, quality, liveness, describe, frame."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._stages.labels(name).observe(time.perf_counter() - began)

    def follow(
        self, cameras: Callable[[], Iterable[CameraReport]], queue_length: Callable[[], int]
    ) -> None:
        """Read these at each scrape: the cameras and how many events wait for the broker."""
        self.registry.register(_Followed(cameras, queue_length))

    def serve(self, port: int) -> None:
        """Answer http://127.0.0.1:`port`/metrics from a thread of its own until `close`.

        Raises ConfigError where the port is taken.
        """
        try:
            self._server = start_http_server(port, addr=LOOPBACK, registry=self.registry)
        except OSError as error:
            raise ConfigError(
                f"service.metrics_port: cannot listen on {LOOPBACK}:{port}: {error.strerror}."
            ) from error
        log.info("metrics_served", address=f"http://{LOOPBACK}:{port}/metrics")

    def close(self) -> None:
        """Free the port. May be called twice."""
        if self._server is not None:
            server, thread = self._server
            self._server = None
            server.shutdown()
            server.server_close()
            thread.join()


class _Followed(Collector):
    def __init__(
        self, cameras: Callable[[], Iterable[CameraReport]], queue_length: Callable[[], int]
    ) -> None:
        self._cameras = cameras
        self._queue_length = queue_length

    def describe(self) -> Iterable[Metric]:
        return ()  # nothing is read before the first scrape

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("ostiary_camera_up", "1: pictures come in", labels=["camera"])
        fps = GaugeMetricFamily(
            "ostiary_camera_fps", "Different pictures a second", labels=["camera"]
        )
        reconnects = CounterMetricFamily(
            "ostiary_camera_reconnects", "Times a camera was lost", labels=["camera"]
        )
        for camera in self._cameras():
            up.add_metric([camera.camera], float(camera.status is CameraStatus.OK))
            fps.add_metric([camera.camera], camera.fps)
            reconnects.add_metric([camera.camera], camera.reconnects)
        yield from (up, fps, reconnects)
        yield GaugeMetricFamily(
            "ostiary_queue_length",
            "Events the broker does not have yet",
            value=self._queue_length(),
        )
