"""A camera's state, as the reader tells it."""

from ostiary.camera.frame import CameraReport, CameraStatus, ViewCondition

FRONT = CameraReport(
    camera="front",
    source="/dev/video0",
    status=CameraStatus.OK,
    view=ViewCondition.CLEAR,
    width=640,
    height=480,
    fps=15.0,
    age_s=0.05,
    reconnects=0,
    detail=None,
)
