"""Run inside the machine: shows a clip of JPEG files before v4l2loopback's camera, for ever.

`feeder.py FILE FPS`: FILE is JPEG files one after the other, as a USB camera sends them.
"""

import fcntl
import itertools
import os
import sys
import time
from pathlib import Path

from ostiary.camera.v4l2 import abi

DEVICE = "/dev/video10"
BUF_TYPE_VIDEO_OUTPUT = 2


def main() -> None:
    frames = [b"\xff\xd8" + part for part in Path(sys.argv[1]).read_bytes().split(b"\xff\xd8")[1:]]
    pause = 1 / float(sys.argv[2])
    fd = os.open(DEVICE, os.O_RDWR)
    wanted = abi.Format(type=BUF_TYPE_VIDEO_OUTPUT)
    wanted.fmt.pix.width, wanted.fmt.pix.height = 480, 640
    wanted.fmt.pix.pixelformat = int.from_bytes(b"MJPG", "little")
    wanted.fmt.pix.field = 1
    wanted.fmt.pix.sizeimage = 640 * 480 * 2
    fcntl.ioctl(fd, abi.S_FMT, wanted)
    for number in itertools.count():
        turn = number % (2 * len(frames) - 2)
        os.write(fd, frames[min(turn, 2 * len(frames) - 2 - turn)])
        time.sleep(pause)


main()
