"""Our copy of the kernel's structures, held against the kernel's own header by a C compiler."""

import ctypes
import subprocess
from pathlib import Path

import pytest

from ostiary.camera.v4l2 import abi

STRUCTURES = {
    "v4l2_capability": abi.Capability,
    "v4l2_fmtdesc": abi.FormatDescription,
    "v4l2_frmsizeenum": abi.FrameSize,
    "v4l2_frmivalenum": abi.FrameInterval,
    "v4l2_format": abi.Format,
    "v4l2_streamparm": abi.StreamParameters,
    "v4l2_requestbuffers": abi.RequestBuffers,
    "v4l2_buffer": abi.Buffer,
    "v4l2_queryctrl": abi.QueryControl,
    "v4l2_querymenu": abi.QueryMenu,
    "v4l2_control": abi.Control,
}
FIELDS = {
    "v4l2_capability": ["card", "capabilities", "device_caps"],
    "v4l2_fmtdesc": ["type", "pixelformat"],
    "v4l2_frmsizeenum": ["pixel_format", "type"],
    "v4l2_frmivalenum": ["pixel_format", "width", "height", "type"],
    "v4l2_format": ["type", "fmt"],
    "v4l2_streamparm": ["type", "parm"],
    "v4l2_requestbuffers": ["count", "type", "memory"],
    "v4l2_buffer": [
        "index",
        "bytesused",
        "flags",
        "timestamp",
        "sequence",
        "memory",
        "m",
        "length",
    ],
    "v4l2_queryctrl": ["minimum", "maximum", "step", "default_value", "flags"],
    "v4l2_querymenu": ["id", "index"],
    "v4l2_control": ["id", "value"],
}
NUMBERS = {
    **{
        f"VIDIOC_{name}": getattr(abi, name)
        for name in (
            *("QUERYCAP", "ENUM_FMT", "S_FMT", "REQBUFS", "QUERYBUF", "QBUF", "DQBUF", "STREAMON"),
            *("STREAMOFF", "G_PARM", "S_PARM", "G_CTRL", "S_CTRL", "QUERYCTRL", "QUERYMENU"),
            *("ENUM_FRAMESIZES", "ENUM_FRAMEINTERVALS"),
        )
    },
    **{
        f"V4L2_{name}": getattr(abi, name)
        for name in (
            *("BUF_TYPE_VIDEO_CAPTURE", "MEMORY_MMAP", "CAP_VIDEO_CAPTURE", "CAP_STREAMING"),
            *("CAP_DEVICE_CAPS", "CAP_TIMEPERFRAME", "BUF_FLAG_ERROR", "BUF_FLAG_TIMESTAMP_MASK"),
            *("BUF_FLAG_TIMESTAMP_MONOTONIC", "CTRL_FLAG_DISABLED", "CTRL_FLAG_INACTIVE"),
            *("CID_POWER_LINE_FREQUENCY", "CID_EXPOSURE_AUTO", "CID_EXPOSURE_ABSOLUTE"),
            *("EXPOSURE_AUTO", "EXPOSURE_MANUAL", "EXPOSURE_APERTURE_PRIORITY"),
        )
    },
    "V4L2_FRMSIZE_TYPE_DISCRETE": abi.FRMSIZE_DISCRETE,
    "V4L2_FRMIVAL_TYPE_DISCRETE": abi.FRMIVAL_DISCRETE,
}


@pytest.fixture(scope="module")
def header(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """What the header says of each name, as a C program prints it."""
    folder: Path = tmp_path_factory.mktemp("abi")
    asked = [f"sizeof(struct {name})" for name in STRUCTURES]
    asked += [f"offsetof(struct {name}, {field})" for name in FIELDS for field in FIELDS[name]]
    asked += list(NUMBERS)
    prints = "\n".join(f'printf("%s=%lu\\n", "{what}", (unsigned long){what});' for what in asked)
    includes = "#include <stddef.h>\n#include <stdio.h>\n#include <linux/videodev2.h>\n"
    source = folder / "abi.c"
    source.write_text(f"{includes}int main(void) {{ {prints} return 0; }}", encoding="ascii")
    subprocess.run(["cc", "-o", folder / "abi", source], check=True)
    said = subprocess.run([folder / "abi"], check=True, capture_output=True, text=True).stdout
    return {what: int(value) for what, value in (line.split("=") for line in said.splitlines())}


def test_every_structure_has_the_kernels_size_and_offsets(header: dict[str, int]) -> None:
    for name, structure in STRUCTURES.items():
        assert ctypes.sizeof(structure) == header[f"sizeof(struct {name})"], name
        for field in FIELDS[name]:
            offset = getattr(structure, field).offset
            assert offset == header[f"offsetof(struct {name}, {field})"], (name, field)


def test_every_number_is_the_kernels(header: dict[str, int]) -> None:
    assert {name: header[name] & 0xFFFF_FFFF for name in NUMBERS} == NUMBERS
