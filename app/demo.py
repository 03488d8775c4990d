"""`python web.py --demo`: serves a model and a camera, on a machine without a GPU.

vLLM serves the newest model that `scripts/demo.sh` has made, or else the shipped tiny base, which is not trained on
any question. A drawn video plays as a camera in the watch room.
"""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from vigil.dataset.clips import find_clips
from vigil.dataset.compose import compose_video
from vigil.frames import FrameSampling
from vigil.manifest import MANIFEST_NAME
from vigil.questions import load_question
from vigil.serving.server import RunningServer, run_server
from vigil.synth.dataset import write_synth_dataset
from vigil.tiny import BASE_FOLDER
from vigil.watch import WatchSettings

BASE_SAMPLING = FrameSampling(max_pixels=12_288)
"""128x96 frames, the size that the tiny base was trained on."""

FILM_S = 600.0
FILM_CLIPS = 40
FILM_WH = (320, 240)


@contextmanager
def demo(settings: WatchSettings, *, folder: Path, root: Path = Path()) -> Iterator[tuple[WatchSettings, str]]:
    """Yields settings for a served tiny model and a video as camera, and the server's API key, inside the block."""
    model = newest_model(root)
    playing = play_demo_video(settings, folder=folder)
    with _served(model) as server:
        print(f"the tiny model is served at {server.url} after {server.ready_s:.0f} s", flush=True)  # noqa: T201
        # The base gives the label words almost no probability; its verdicts are shown all the same.
        min_label_probability = 0.0 if model is None else settings.min_label_probability
        yield (
            replace(
                playing,
                url=server.url,
                model=server.model,
                model_dir=model,
                min_label_probability=min_label_probability,
            ),
            server.key,
        )


def play_demo_video(settings: WatchSettings, *, folder: Path) -> WatchSettings:
    """Adds the drawn video to the settings as a camera, with a store of the demo's own."""
    sources = (*settings.sources, str(demo_video(folder)))
    return replace(settings, sources=sources, realtime=True, store=str(folder / "events.db"))


def newest_model(root: Path) -> Path | None:
    """The newest merged model of a demo; prints a hint and returns None if there is none."""
    made = [path.parent for path in root.glob("demo-*/model/" + MANIFEST_NAME)]
    if made:
        return max(made, key=lambda path: path.stat().st_mtime)
    print(  # noqa: T201
        "no demo-*/model here: the shipped tiny base is served, which was never taught what a fight is, so "
        "its verdicts mean nothing; `bash scripts/demo.sh` teaches it in four minutes",
        file=sys.stderr,
    )
    return None


def _served(model: Path | None) -> AbstractContextManager[RunningServer]:
    print("starting vLLM, about half a minute", flush=True)  # noqa: T201
    if model is not None:
        return run_server(model, name="tiny")
    return run_server(BASE_FOLDER, name="tiny", task=load_question("fight"), sampling=BASE_SAMPLING)


def demo_video(folder: Path) -> Path:
    """A ten-minute video of drawn people, mostly without an incident; rendered at the first start and kept."""
    film = folder / "drawn-yard.mp4"
    if film.is_file():
        return film
    clips = folder / "drawn"
    print("drawing a video to watch, at the first start only", flush=True)  # noqa: T201
    write_synth_dataset(clips, clips=FILM_CLIPS, seed=7, fps=12.0, size_wh=FILM_WH)
    compose_video(
        find_clips(clips, load_question("fight")).clips, film, seconds=FILM_S, seed=7, size_wh=FILM_WH, fps=12.0
    )
    return film
