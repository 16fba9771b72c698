"""A face as a detector finds it, and its box."""

from dataclasses import dataclass

from ostiary.vision.arrays import FloatArray


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned rectangle in pixels of the whole image; it may reach outside the image."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def center(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def area(self) -> float:
        return self.width * self.height

    def overlap(self, other: "Box") -> float:
        """Intersection over union, 0 to 1."""
        across = min(self.right, other.right) - max(self.x, other.x)
        down = min(self.bottom, other.bottom) - max(self.y, other.y)
        if across <= 0 or down <= 0:
            return 0.0
        shared = across * down
        return shared / (self.area + other.area - shared)


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in an image.

    `score` is the detector's own confidence (YuNet: 0 to 1).
    `landmarks` is (5, 2) float32, x and y in pixels, in the order right eye, left eye, tip of the
    nose, right and left corner of the mouth (right and left are the person's own), or None where
    the detector gives none.
    """

    box: Box
    score: float
    landmarks: FloatArray | None = None


def square_of(box: Box) -> Box:
    """The square that dlib's HOG detector would draw where YuNet draws the tall `box`.

    dlib's landmark predictor learnt from such squares (eyebrows to chin). The two numbers are the
    mean over portraits at jittered scales and angles; with them, descriptors are as near to those
    from HOG's own squares (0.05) as two neighbouring HOG squares are to each other.
    """
    side = 1.056 * box.width
    x, y = box.center
    return Box(x - side / 2, y + 0.035 * box.height - side / 2, side, side)
