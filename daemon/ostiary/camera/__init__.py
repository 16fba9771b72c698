"""Pictures in: V4L2, RTSP, HTTP MJPEG, a video file or a folder; only ever the newest picture."""
