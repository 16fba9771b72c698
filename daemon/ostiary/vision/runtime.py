"""ONNX Runtime sessions, opened the same way for every network."""

from pathlib import Path

import onnxruntime as ort
import structlog

from ostiary.errors import ModelInvalid, ModelMissing

log = structlog.get_logger(__name__)

CPU = "CPUExecutionProvider"
_SUFFIX = "ExecutionProvider"


def open_session(
    path: Path, provider: str = "cpu", threads: int = 1, batch: int | None = None
) -> ort.InferenceSession:
    """Open the ONNX model at `path`.

    `provider` is the short name of an execution provider ("cpu", "openvino", "cuda", …). One
    that is not installed or does not start is replaced by the CPU, with a warning;
    `provider_in_use` tells which it became. `batch` fixes the model's free batch dimension.

    Raises ModelMissing, or ModelInvalid when the file is no model that can be run.
    """
    if not path.is_file():
        raise ModelMissing(f"{path}: no such model. Build it with `ostiary-export all`.")
    wanted = _installed_provider(provider)
    if wanted is None:
        log.warning(
            "provider_unavailable", wanted=provider, used="cpu", installed=available_providers()
        )
        wanted = CPU
    options = _session_options(threads, batch)
    if wanted != CPU:
        try:
            session = ort.InferenceSession(path, options, providers=[wanted, CPU])
        except Exception as error:  # noqa: BLE001 - each provider raises types of its own
            log.warning("provider_failed", wanted=provider, used="cpu", error=str(error))
        else:
            # ONNX Runtime itself may have dropped a provider whose libraries are not there.
            if provider_in_use(session) == "cpu":
                log.warning("provider_failed", wanted=provider, used="cpu")
            return session
    try:
        return ort.InferenceSession(path, options, providers=[CPU])
    except Exception as error:
        raise ModelInvalid(f"{path}: ONNX Runtime cannot run this file: {error}") from error


def provider_in_use(session: ort.InferenceSession) -> str:
    """Short name of the provider that runs `session`: "cpu", "openvino", …"""
    return _short(session.get_providers()[0])


def available_providers() -> tuple[str, ...]:
    """Short names of the installed providers, the preferred one first."""
    return tuple(_short(name) for name in ort.get_available_providers())


def _installed_provider(short: str) -> str | None:
    for name in ort.get_available_providers():
        if _short(name) == short.lower():
            return str(name)
    return None


def _short(provider: str) -> str:
    return provider.removesuffix(_SUFFIX).lower()


def _session_options(threads: int, batch: int | None) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # A door has few cores: a thread that waits must not burn one.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if batch is not None:
        options.add_free_dimension_override_by_name("batch", batch)
    return options
