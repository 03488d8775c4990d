"""The tiny base model that ships with Vigil, and how it is made.

`BASE_FOLDER` holds a Qwen3-VL of 3.9 million parameters that has learnt to see on drawn clips, so that everything
else (training, serving, watching) can be tried in minutes without a GPU and without a download.
"""

from pathlib import Path
from typing import Final

BASE_FOLDER: Final = Path(__file__).parent / "base"

TASK_FILE: Final = Path(__file__).parent / "fight.yaml"
"""The task `fight`, with a question for a description and stock sentences that the base was taught."""

__all__ = ["BASE_FOLDER", "TASK_FILE"]
