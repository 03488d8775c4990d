"""Compares the prompts of training and serving, example by example, and reports every difference.

    vigil parity --data data --url http://127.0.0.1:8000/v1

The training side (prompt tokens, image grid, pixels and, for some families, time positions) comes from LLaMA-Factory's
own loader and collator; the serving side is what the server makes of the judge's request for the same frames. Nothing
is reimplemented here: both sides are the real programs.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vigil.counted import counted
from vigil.frames import FrameSampling
from vigil.judge.endpoint import Endpoint
from vigil.manifest import Contract, parse_alias, read_manifest
from vigil.parity.examples import Example, read_examples, sample_examples
from vigil.parity.served import ServedSide, TokenizeClient, checkpoint_folder, served_pictures
from vigil.parity.trained import PixelDigest, TrainedPrompt, read_trained_prompts
from vigil.serving.settings import ServeSettings

log = logging.getLogger(__name__)


POSITIONS = "positions of the video's tokens (times of its groups)"
"""The difference reported if tokens and pixels agree but the time positions do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityDifference:
    """One example that is served differently than trained; `trained` and `served` show the first difference."""

    example: str
    frames: int
    what: str
    at: int
    trained: str
    served: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """The result of a comparison; `pictures` is the number of examples whose pixels were compared too."""

    model: str
    examples: int
    tokens: int
    frame_counts: dict[int, int]
    grids: tuple[tuple[int, ...], ...]
    pictures: int
    largest_pixel_difference: float | None
    differing: tuple[ParityDifference, ...]

    @property
    def differences(self) -> int:
        """The number of examples that differ."""
        return len({difference.example for difference in self.differing})

    @property
    def summary(self) -> str:
        """One line, for people and scripts."""
        return f"parity: {counted(self.examples, 'example')}, {counted(self.differences, 'difference')}"

    def as_json(self) -> dict[str, Any]:
        """Returns all fields as JSON-serialisable values, with `differences` as a number."""
        data = asdict(self)
        return {"examples": data.pop("examples"), "differences": self.differences, **data}


def first_difference(trained: Sequence[int], served: Sequence[int]) -> int | None:
    """Returns the index of the first differing token; None if all are equal."""
    for place, (ours, theirs) in enumerate(zip(trained, served, strict=False)):
        if ours != theirs:
            return place
    return None if len(trained) == len(served) else min(len(trained), len(served))


def pixel_difference(trained: PixelDigest, served: PixelDigest) -> float:
    """Returns the largest known pixel difference: 0 if the digests agree, else the largest among the probes."""
    if trained.digest == served.digest:
        return 0.0
    if trained.grid_thw != served.grid_thw:
        return float("inf")
    return max(abs(ours - theirs) for ours, theirs in zip(trained.probes, served.probes, strict=True))


def picture_difference(trained: PixelDigest, served: PixelDigest) -> str:
    """Returns what differs between two sets of images; empty if nothing does."""
    if trained.grid_thw != served.grid_thw:
        return "size"
    if trained.digest == served.digest:
        return POSITIONS if trained.positions != served.positions else ""
    apart = pixel_difference(trained, served)
    return f"pixels (by up to {apart:.4f} or more)" if apart else "pixels (none of the few that are told one by one)"


def count_values(numbers: Iterable[int]) -> dict[int, int]:
    """Returns how often each number occurs, smallest number first."""
    listed = sorted(numbers)
    return {number: listed.count(number) for number in dict.fromkeys(listed)}


__all__ = ["ParityDifference", "ParityReport", "compare_dataset"]

SHOWN_TOKENS = 8


async def compare_dataset(
    data: Path,
    endpoint: Endpoint,
    *,
    limit: int | None = 64,
    model_dir: Path | None = None,
    on_stage: Callable[[str], None] = lambda text: None,
    on_done: Callable[[], None] = lambda: None,
) -> ParityReport:
    """Compares a dataset's examples (a seeded sample of `limit`, or all) on both sides.

    Raises EndpointError, DatasetError, JobError or UsageError if one of the sides is unavailable.
    """
    contract = read_manifest(data, advice=f"make it with: vigil dataset build CLIPS --out {data}").contract
    examples = sample_examples(read_examples(data), limit=limit)
    async with TokenizeClient(endpoint) as asker:
        served = await asker.find_model()
        _warn_of_contract(contract, served)
        folder = checkpoint_folder(served, model_dir)
        on_stage(f"asking {served.model}, its processor and LLaMA-Factory what they make of {len(examples)} examples")
        ids, prompts, pictures = await _both_sides(
            asker, served, examples, data=data, folder=folder, sampling=contract.sampling, on_done=on_done
        )
        if pictures is None:
            log.warning("no serving environment here: tokens and sizes are compared, pixels are not")
        differing = [
            *_question_differences(contract, examples),
            *[
                difference
                for example, prompt, theirs in zip(examples, prompts, ids, strict=True)
                if (difference := await _token_difference(asker, served, example, prompt, theirs))
            ],
            *_picture_differences(examples, prompts, pictures or ()),
        ]
    return _report(served, examples, prompts, pictures, differing)


async def _both_sides(
    asker: TokenizeClient,
    served: ServedSide,
    examples: Sequence[Example],
    *,
    data: Path,
    folder: Path,
    sampling: FrameSampling,
    on_done: Callable[[], None],
) -> tuple[list[tuple[int, ...]], list[TrainedPrompt], list[PixelDigest] | None]:
    """Returns the server's tokens, the trained prompts, and the server's pixels (None without its environment).

    All three run concurrently, since each loads for seconds on its own core; if one fails, the others are cancelled.
    """
    try:
        with TemporaryDirectory(prefix="vigil-parity-") as name:
            work = Path(name)
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(
                    asker.prompt_ids(examples, model=served.model, fps=sampling.fps, on_done=on_done)
                )
                training = group.create_task(read_trained_prompts(examples, data=data, model_dir=folder, work=work))
                context = served.context or ServeSettings().max_model_len
                fps = parse_alias(served.alias).fps if served.alias else sampling.fps
                showing = group.create_task(
                    served_pictures(examples, model_dir=folder, context=context, fps=fps, work=work)
                )
    except ExceptionGroup as several:
        raise several.exceptions[0] from several
    return asking.result(), training.result(), showing.result()


def _warn_of_contract(contract: Contract, served: ServedSide) -> None:
    differences = contract.differences(served.alias) if served.alias else ["the server does not tell its contract"]
    for difference in differences:
        log.warning("model %s: %s", served.model, difference)


def _question_differences(contract: Contract, examples: Sequence[Example]) -> list[ParityDifference]:
    """Finds examples trained on another question than the contract's, which the judge always asks."""
    return [
        ParityDifference(
            example=example.name,
            frames=len(example.frames),
            what="question",
            at=0,
            trained=example.question,
            served=contract.question,
        )
        for example in examples
        if example.question != contract.question
    ]


async def _token_difference(
    asker: TokenizeClient, served: ServedSide, example: Example, prompt: TrainedPrompt, ids: Sequence[int]
) -> ParityDifference | None:
    place = first_difference(prompt.ids, ids)
    if place is None:
        return None
    shown = slice(place, place + SHOWN_TOKENS)
    return ParityDifference(
        example=example.name,
        frames=len(example.frames),
        what=f"tokens ({len(prompt.ids)} trained, {len(ids)} served)",
        at=place,
        trained=await asker.text(prompt.ids[shown], model=served.model),
        served=await asker.text(ids[shown], model=served.model),
    )


def _picture_differences(
    examples: Sequence[Example], prompts: Sequence[TrainedPrompt], pictures: Sequence[PixelDigest]
) -> list[ParityDifference]:
    found = []
    for example, prompt, theirs in zip(examples, prompts, pictures, strict=False):
        ours = prompt.pictures
        what = picture_difference(ours, theirs)
        if what:
            found.append(
                ParityDifference(
                    example=example.name,
                    frames=len(example.frames),
                    what=what,
                    at=0,
                    trained=_shown(what, ours),
                    served=_shown(what, theirs),
                )
            )
    return found


def _shown(what: str, pictures: PixelDigest) -> str:
    return str(pictures.times if what == POSITIONS else pictures.grid_thw)


def _report(
    served: ServedSide,
    examples: Sequence[Example],
    prompts: Sequence[TrainedPrompt],
    pictures: Sequence[PixelDigest] | None,
    differing: Sequence[ParityDifference],
) -> ParityReport:
    largest: float | None = None
    with suppress(ValueError):
        pairs = zip(prompts, pictures or (), strict=False)
        largest = max(pixel_difference(prompt.pictures, theirs) for prompt, theirs in pairs)
    return ParityReport(
        model=served.model,
        examples=len(examples),
        tokens=sum(len(prompt.ids) for prompt in prompts),
        frame_counts=count_values(len(example.frames) for example in examples),
        grids=tuple(sorted({prompt.pictures.grid_thw for prompt in prompts})),
        pictures=len(pictures or ()),
        largest_pixel_difference=largest,
        differing=tuple(differing),
    )
