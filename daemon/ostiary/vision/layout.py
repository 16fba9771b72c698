"""Which file of a network suits this machine's processor.

ONNX Runtime's CPU provider runs convolutions fastest on channels in blocks (its NCHWc layout), but
has kernels for that on x86-64 only. There, PRelu written as depthwise convolutions keeps a whole
graph in blocks; anywhere else these convolutions are extra work, and PRelu as a product and a
maximum on plain NCHW is less. So the export builds each network that bends by PRelu twice, both
proven equal to the original, and the processor's architecture says which one is loaded.

Not measured at start: which kernels there are is decided when ONNX Runtime is compiled and not by
the machine's state, the files differ by a third and more (docs/hardware.md), and a busy moment at
start must not decide by which file a door judges. `make arm` holds this table against what ONNX
Runtime does on each architecture, so that a version with new kernels is noticed.
"""

import platform

IN_BLOCKS = frozenset({"x86_64", "amd64"})
"""Machines, as `platform.machine()` names them, for which ONNX Runtime has the blocked layout."""

NCHW_SUFFIX = "_nchw"


def nchw(name: str) -> str:
    """What the variant of the model file `name` for processors without the blocked layout is
    called: "sface.onnx" is "sface_nchw.onnx"."""
    stem, dot, ending = name.rpartition(".")
    return f"{stem}{NCHW_SUFFIX}{dot}{ending}"


def suited(name: str, machine: str | None = None) -> str:
    """The file of the network `name` for `machine` (None: this one).

    `name` is that of a network which is built for both layouts.
    """
    known = (machine or platform.machine()).lower()
    return name if known in IN_BLOCKS else nchw(name)
