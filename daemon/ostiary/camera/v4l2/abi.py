"""The part of <linux/videodev2.h> that is used: structures, request numbers, constants.

https://docs.kernel.org/userspace-api/media/v4l/user-func.html. `tests/integration/test_v4l2_abi.py`
holds sizes, offsets and numbers against the kernel's own header.
"""

import ctypes
from ctypes import Structure, Union, c_int32, c_long, c_uint8, c_uint32, c_ulong

BUF_TYPE_VIDEO_CAPTURE = 1
MEMORY_MMAP = 1
CAP_VIDEO_CAPTURE = 0x1
CAP_STREAMING = 0x0400_0000
CAP_DEVICE_CAPS = 0x8000_0000
CAP_TIMEPERFRAME = 0x1000
FRMSIZE_DISCRETE = FRMIVAL_DISCRETE = 1
BUF_FLAG_ERROR = 0x40
BUF_FLAG_TIMESTAMP_MASK = 0xE000
BUF_FLAG_TIMESTAMP_MONOTONIC = 0x2000
CTRL_FLAG_DISABLED = 0x1
CTRL_FLAG_INACTIVE = 0x10
CID_POWER_LINE_FREQUENCY = 0x0098_0918
CID_EXPOSURE_AUTO = 0x009A_0901
CID_EXPOSURE_ABSOLUTE = 0x009A_0902
EXPOSURE_AUTO = 0
EXPOSURE_MANUAL = 1
EXPOSURE_APERTURE_PRIORITY = 3
"""Automatic exposure time; what USB cameras call automatic."""
_WRITE, _READ = 1, 2


class Capability(Structure):
    _fields_ = (
        ("driver", c_uint8 * 16),
        ("card", c_uint8 * 32),
        ("bus_info", c_uint8 * 32),
        ("version", c_uint32),
        ("capabilities", c_uint32),
        ("device_caps", c_uint32),
        ("reserved", c_uint32 * 3),
    )


class FormatDescription(Structure):
    _fields_ = (
        ("index", c_uint32),
        ("type", c_uint32),
        ("flags", c_uint32),
        ("description", c_uint8 * 32),
        ("pixelformat", c_uint32),
        ("mbus_code", c_uint32),
        ("reserved", c_uint32 * 3),
    )


class _Discrete(Structure):
    _fields_ = (("width", c_uint32), ("height", c_uint32))


class _Stepwise(Structure):
    _fields_ = (
        ("min_width", c_uint32),
        ("max_width", c_uint32),
        ("step_width", c_uint32),
        ("min_height", c_uint32),
        ("max_height", c_uint32),
        ("step_height", c_uint32),
    )


class _Size(Union):
    _fields_ = (("discrete", _Discrete), ("stepwise", _Stepwise))


class FrameSize(Structure):
    _fields_ = (
        ("index", c_uint32),
        ("pixel_format", c_uint32),
        ("type", c_uint32),
        ("size", _Size),
        ("reserved", c_uint32 * 2),
    )


class Fraction(Structure):
    _fields_ = (("numerator", c_uint32), ("denominator", c_uint32))


class _StepwiseInterval(Structure):
    _fields_ = (("min", Fraction), ("max", Fraction), ("step", Fraction))


class _Interval(Union):
    _fields_ = (("discrete", Fraction), ("stepwise", _StepwiseInterval))


class FrameInterval(Structure):
    _fields_ = (
        ("index", c_uint32),
        ("pixel_format", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("type", c_uint32),
        ("interval", _Interval),
        ("reserved", c_uint32 * 2),
    )


class PixelFormat(Structure):
    _fields_ = tuple(
        (name, c_uint32)
        for name in (
            *("width", "height", "pixelformat", "field", "bytesperline", "sizeimage"),
            *("colorspace", "priv", "flags", "ycbcr_enc", "quantization", "xfer_func"),
        )
    )


class _FormatUnion(Union):
    # The kernel's union holds pointers, too, and is aligned as they are.
    _fields_ = (("pix", PixelFormat), ("raw", c_uint8 * 200), ("aligned", c_ulong))


class Format(Structure):
    _fields_ = (("type", c_uint32), ("fmt", _FormatUnion))


class CaptureParameters(Structure):
    _fields_ = (
        ("capability", c_uint32),
        ("capturemode", c_uint32),
        ("timeperframe", Fraction),
        ("extendedmode", c_uint32),
        ("readbuffers", c_uint32),
        ("reserved", c_uint32 * 4),
    )


class _ParametersUnion(Union):
    _fields_ = (("capture", CaptureParameters), ("raw", c_uint8 * 200))


class StreamParameters(Structure):
    _fields_ = (("type", c_uint32), ("parm", _ParametersUnion))


class RequestBuffers(Structure):
    _fields_ = (
        ("count", c_uint32),
        ("type", c_uint32),
        ("memory", c_uint32),
        ("capabilities", c_uint32),
        ("flags", c_uint8),
        ("reserved", c_uint8 * 3),
    )


class _Time(Structure):
    _fields_ = (("seconds", c_long), ("microseconds", c_long))


class _Timecode(Structure):
    _fields_ = (("type", c_uint32), ("flags", c_uint32), ("rest", c_uint8 * 8))


class _Memory(Union):
    _fields_ = (("offset", c_uint32), ("userptr", c_ulong))


class Buffer(Structure):
    _fields_ = (
        ("index", c_uint32),
        ("type", c_uint32),
        ("bytesused", c_uint32),
        ("flags", c_uint32),
        ("field", c_uint32),
        ("timestamp", _Time),
        ("timecode", _Timecode),
        ("sequence", c_uint32),
        ("memory", c_uint32),
        ("m", _Memory),
        ("length", c_uint32),
        ("reserved2", c_uint32),
        ("request_fd", c_int32),
    )


class QueryControl(Structure):
    _fields_ = (
        ("id", c_uint32),
        ("type", c_uint32),
        ("name", c_uint8 * 32),
        ("minimum", c_int32),
        ("maximum", c_int32),
        ("step", c_int32),
        ("default_value", c_int32),
        ("flags", c_uint32),
        ("reserved", c_uint32 * 2),
    )


class Control(Structure):
    _fields_ = (("id", c_uint32), ("value", c_int32))


class QueryMenu(Structure):
    _pack_ = 1
    _fields_ = (
        ("id", c_uint32),
        ("index", c_uint32),
        ("name", c_uint8 * 32),
        ("reserved", c_uint32),
    )


def _request(direction: int, number: int, what: type[Structure] | type[c_int32]) -> int:
    """As <asm-generic/ioctl.h> makes them; x86 and ARM have it so."""
    return direction << 30 | ctypes.sizeof(what) << 16 | ord("V") << 8 | number


QUERYCAP = _request(_READ, 0, Capability)
ENUM_FMT = _request(_READ | _WRITE, 2, FormatDescription)
S_FMT = _request(_READ | _WRITE, 5, Format)
REQBUFS = _request(_READ | _WRITE, 8, RequestBuffers)
QUERYBUF = _request(_READ | _WRITE, 9, Buffer)
QBUF = _request(_READ | _WRITE, 15, Buffer)
DQBUF = _request(_READ | _WRITE, 17, Buffer)
STREAMON = _request(_WRITE, 18, c_int32)
STREAMOFF = _request(_WRITE, 19, c_int32)
G_PARM = _request(_READ | _WRITE, 21, StreamParameters)
S_PARM = _request(_READ | _WRITE, 22, StreamParameters)
G_CTRL = _request(_READ | _WRITE, 27, Control)
S_CTRL = _request(_READ | _WRITE, 28, Control)
QUERYCTRL = _request(_READ | _WRITE, 36, QueryControl)
QUERYMENU = _request(_READ | _WRITE, 37, QueryMenu)
ENUM_FRAMESIZES = _request(_READ | _WRITE, 74, FrameSize)
ENUM_FRAMEINTERVALS = _request(_READ | _WRITE, 75, FrameInterval)
