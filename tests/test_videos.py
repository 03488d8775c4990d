"""Video questions to an OpenAI-compatible endpoint, as the judge asks them: frames as one video, or as images.

    python tests/test_videos.py --url http://127.0.0.1:8000/v1 --model NAME [CLIP ...]

The verdict costs one token; then the same window is described. Where the server takes no frame lists, the
frames go as single images with their times; both forms are asked of a server that takes both.
"""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exchange import DEADLINE_S, Exchange, endpoint_of, parser, problems, run
from vigil.frames import RGB, Frame, FrameSampling
from vigil.judge import Endpoint, Judge
from vigil.judge.contract import served_sampling
from vigil.judge.verdict_reader import MIN_LABEL_PROBABILITY
from vigil.questions import Question, load_question
from vigil.sources.video_file import read_frames
from vigil.verdict import Verdict
from vigil.windows import Window, iter_windows


async def ask_videos(
    endpoint: Endpoint,
    task: Question,
    clips: Sequence[Path] = (),
    *,
    min_label_probability: float = MIN_LABEL_PROBABILITY,
) -> list[Exchange]:
    """Asks for verdicts and descriptions of a drawn window and of each clip's windows."""
    sampling = await served_sampling(endpoint) or FrameSampling()
    windows = [("a drawn square that moves", window) for window in iter_windows(_moving_square(sampling), sampling)]
    for clip in clips:
        windows += [
            (f"{clip.name} from {w.start_s:.1f} s", w) for w in iter_windows(read_frames(clip, sampling), sampling)
        ]
    asked: list[Exchange] = []
    settings: dict[str, Any] = {
        "deadline_s": DEADLINE_S,
        "answer_tokens": 64,
        "min_label_probability": min_label_probability,
    }
    async with await Judge.connect(endpoint, task, sampling, **settings) as judge:
        for name, window in windows:
            asked += [await _verdict(judge, name, window), await _description(judge, name, window)]
        is_shown_videos = judge.media == "video"
    if is_shown_videos:
        async with await Judge.connect(endpoint, task, sampling, media="images", **settings) as judge:
            asked.append(await _verdict(judge, windows[0][0], windows[0][1]))
    return asked


def _moving_square(sampling: FrameSampling) -> Iterator[Frame]:
    for number in range(sampling.frames):
        picture: RGB = np.full((96, 128, 3), 90, np.uint8)
        picture[32:64, 8 + 14 * number : 40 + 14 * number] = (220, 60, 60)
        yield Frame(picture, number / sampling.fps)


async def _verdict(judge: Judge, name: str, window: Window) -> Exchange:
    verdict = await judge.verdict(window.jpegs, start_s=window.start_s, end_s=window.end_s)
    return _told(f"{name}, {len(window.shots)} frames as {judge.media}: verdict", verdict)


async def _description(judge: Judge, name: str, window: Window) -> Exchange:
    verdict = await judge.describe(
        window.jpegs, start_s=window.start_s, end_s=window.end_s, max_tokens=64, describe_normal=True
    )
    return _told(f"{name}, {len(window.shots)} frames as {judge.media}: verdict, then words", verdict)


def _told(asked: str, verdict: Verdict) -> Exchange:
    p_alarm = "" if verdict.p_alarm is None else f", P(alarm) {verdict.p_alarm:.3f}"
    words = "" if verdict.text is None else f": {verdict.text}"
    made = Exchange(
        asked=asked,
        got=f"{verdict.outcome}{p_alarm}{words}",
        latency_ms=verdict.latency_ms,
        problem="" if verdict.cause is None else f"{verdict.cause}: {verdict.detail}",
    )
    print(made, flush=True)
    return made


@pytest.mark.e2e
def test_videos(endpoint: Endpoint, task: Question) -> None:
    # The tiny base was never taught the verdict words, and gives them next to nothing.
    assert problems(asyncio.run(ask_videos(endpoint, task, min_label_probability=0.0))) == []


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--task", default="fight", help="task name or YAML file (%(default)s)")
    options.add_argument("clips", type=Path, nargs="*", help="video files to ask about")
    chosen = options.parse_args()
    return run(lambda: ask_videos(endpoint_of(chosen), load_question(chosen.task), chosen.clips))


if __name__ == "__main__":
    sys.exit(main())
