"""Whether a person is in a picture: YOLOX-Nano, whose weights come with Vigil, run by OpenCV."""

from vigil.person_detector.detector import PersonDetector

__all__ = ["PersonDetector"]
