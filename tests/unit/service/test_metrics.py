"""Prometheus' text, fetched over a real connection."""

import socket
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ostiary.camera.frame import CameraStatus
from ostiary.errors import ConfigError
from ostiary.messages.words import Reason
from ostiary.service.metrics import STAGE_BUCKETS_S, Metrics
from testing.states import FRONT

STALLED = replace(FRONT, status=CameraStatus.STALLED, fps=0.0, age_s=9.0, reconnects=4)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    made = Metrics()
    yield made
    made.close()


def scrape(port: int) -> list[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        return list(answer.read().decode().splitlines())


def test_frames_faces_and_decisions_are_counted(metrics: Metrics, port: int) -> None:
    metrics.serve(port)
    metrics.frame("front", faces=2)
    metrics.frame("front", faces=0)
    metrics.decision(Reason.GRANTED, frame_age_s=0.08)
    lines = scrape(port)
    assert 'ostiary_frames_total{camera="front"} 2.0' in lines
    assert 'ostiary_faces_total{camera="front"} 2.0' in lines
    assert 'ostiary_decisions_total{reason="granted"} 1.0' in lines
    assert 'ostiary_frame_age_seconds_bucket{le="0.1"} 1.0' in lines


def test_every_reason_is_there_before_it_first_happens(metrics: Metrics, port: int) -> None:
    metrics.serve(port)
    lines = scrape(port)
    for reason in Reason:
        assert f'ostiary_decisions_total{{reason="{reason}"}} 0.0' in lines


def test_a_stages_time_goes_into_a_histogram(metrics: Metrics, port: int) -> None:
    metrics.serve(port)
    began = time.perf_counter()
    with metrics.stage("detect"):
        pass
    took = time.perf_counter() - began
    bound = next((each for each in STAGE_BUCKETS_S if took <= each), "+Inf")  # 0.001, if not busy
    lines = scrape(port)
    assert f'ostiary_stage_seconds_bucket{{le="{bound}",stage="detect"}} 1.0' in lines
    assert 'ostiary_stage_seconds_count{stage="detect"} 1.0' in lines


def test_a_stage_that_fails_is_timed_too(metrics: Metrics, port: int) -> None:
    metrics.serve(port)
    with pytest.raises(ZeroDivisionError), metrics.stage("detect"):
        _ = 1 / 0
    assert 'ostiary_stage_seconds_count{stage="detect"} 1.0' in scrape(port)


def test_cameras_and_queue_are_read_at_the_scrape(metrics: Metrics, port: int) -> None:
    queue = [3]
    metrics.follow(lambda: [STALLED], lambda: queue[0])
    metrics.serve(port)
    queue[0] = 5
    lines = scrape(port)
    assert 'ostiary_camera_up{camera="front"} 0.0' in lines
    assert 'ostiary_camera_reconnects_total{camera="front"} 4.0' in lines
    assert "ostiary_queue_length 5.0" in lines


def test_two_daemons_in_one_process_do_not_share_counts() -> None:
    one, other = Metrics(), Metrics()
    one.frame("front", faces=1)
    labels = {"camera": "front"}
    assert one.registry.get_sample_value("ostiary_frames_total", labels) == 1
    assert other.registry.get_sample_value("ostiary_frames_total", labels) is None


def test_a_port_that_is_taken_is_a_configuration_error(metrics: Metrics, port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(ConfigError, match=r"service\.metrics_port"):
            metrics.serve(port)


def test_a_closed_server_frees_its_port(metrics: Metrics, port: int) -> None:
    metrics.serve(port)
    metrics.close()
    metrics.serve(port)
    assert scrape(port)
