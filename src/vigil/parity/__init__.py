"""Parity: is what is served what was trained on?

    vigil parity --data data --url http://127.0.0.1:8000/v1

For each example, LLaMA-Factory's own loader and collator say what was trained on (tokens up to the answer, grid and
pixels of the pictures, and their positions in time where a family has them), and the server says what it makes of the
judge's request for the same frames. Nothing is rebuilt from rules here: both sides are the programs themselves.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from vigil.frames import Sampling
from vigil.judge.endpoint import Endpoint
from vigil.manifest import Contract, read_manifest, sampling_from_alias
from vigil.parity.report import (
    POSITIONS,
    Difference,
    ParityReport,
    count,
    first_difference,
    picture_difference,
    pixel_difference,
)
from vigil.parity.sample import Example, draw, read_examples
from vigil.parity.served import Asker, Served, folder_of, served_pictures
from vigil.parity.trained import Pictures, Prompt, trained_prompts
from vigil.serving.settings import ServeSettings

__all__ = ["Difference", "ParityReport", "compare_dataset"]

logger = logging.getLogger(__name__)

SHOWN_TOKENS = 8


async def compare_dataset(
    data: Path,
    endpoint: Endpoint,
    *,
    limit: int | None = 64,
    model_dir: Path | None = None,
    on_stage: Callable[[str], None] = lambda words: None,
    on_done: Callable[[], None] = lambda: None,
) -> ParityReport:
    """Compares a dataset's examples (a seeded `limit` of them, or all) on both sides.

    Raises EndpointError, DatasetError or JobError when one of the sides cannot be asked at all.
    """
    contract = read_manifest(data, advice=f"make it with: vigil dataset build CLIPS --out {data}").contract
    examples = draw(read_examples(data), limit=limit)
    async with Asker(endpoint) as asker:
        served = await asker.find_model()
        _warn_of_contract(contract, served)
        folder = folder_of(served, model_dir)
        on_stage(f"asking {served.model}, its processor and LLaMA-Factory what they make of {len(examples)} examples")
        ids, prompts, pictures = await _both_sides(
            asker, served, examples, data=data, folder=folder, sampling=contract.sampling, on_done=on_done
        )
        if pictures is None:
            logger.warning("no serving environment here: tokens and sizes are compared, pixels are not")
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
    asker: Asker,
    served: Served,
    examples: Sequence[Example],
    *,
    data: Path,
    folder: Path,
    sampling: Sampling,
    on_done: Callable[[], None],
) -> tuple[list[tuple[int, ...]], list[Prompt], list[Pictures] | None]:
    """The server's tokens, what was trained on, and the server's pictures.

    All at once, as each loads for seconds on a core of its own; where one fails, the others are ended.
    """
    try:
        with TemporaryDirectory(prefix="vigil-parity-") as name:
            work = Path(name)
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(
                    asker.prompt_ids(examples, model=served.model, fps=sampling.fps, on_done=on_done)
                )
                training = group.create_task(trained_prompts(examples, data=data, model_dir=folder, work=work))
                context = served.context or ServeSettings().max_model_len
                fps = sampling_from_alias(served.alias).fps if served.alias else sampling.fps
                showing = group.create_task(
                    served_pictures(examples, model_dir=folder, context=context, fps=fps, work=work)
                )
    except ExceptionGroup as several:
        raise several.exceptions[0] from several
    return asking.result(), training.result(), showing.result()


def _warn_of_contract(contract: Contract, served: Served) -> None:
    differences = contract.differences(served.alias) if served.alias else ["the server does not tell its contract"]
    for difference in differences:
        logger.warning("model %s: %s", served.model, difference)


def _question_differences(contract: Contract, examples: Sequence[Example]) -> list[Difference]:
    """The judge asks the contract's question, whatever an example was trained on."""
    return [
        Difference(
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
    asker: Asker, served: Served, example: Example, prompt: Prompt, ids: Sequence[int]
) -> Difference | None:
    place = first_difference(prompt.ids, ids)
    if place is None:
        return None
    shown = slice(place, place + SHOWN_TOKENS)
    return Difference(
        example=example.name,
        frames=len(example.frames),
        what=f"tokens ({len(prompt.ids)} trained, {len(ids)} served)",
        at=place,
        trained=await asker.words(prompt.ids[shown], model=served.model),
        served=await asker.words(ids[shown], model=served.model),
    )


def _picture_differences(
    examples: Sequence[Example], prompts: Sequence[Prompt], pictures: Sequence[Pictures]
) -> list[Difference]:
    found = []
    for example, prompt, theirs in zip(examples, prompts, pictures, strict=False):
        ours = prompt.pictures
        what = picture_difference(ours, theirs)
        if what:
            found.append(
                Difference(
                    example=example.name,
                    frames=len(example.frames),
                    what=what,
                    at=0,
                    trained=_shown(what, ours),
                    served=_shown(what, theirs),
                )
            )
    return found


def _shown(what: str, pictures: Pictures) -> str:
    return str(pictures.times if what == POSITIONS else pictures.grid_thw)


def _report(
    served: Served,
    examples: Sequence[Example],
    prompts: Sequence[Prompt],
    pictures: Sequence[Pictures] | None,
    differing: Sequence[Difference],
) -> ParityReport:
    largest: float | None = None
    with suppress(ValueError):
        pairs = zip(prompts, pictures or (), strict=False)
        largest = max(pixel_difference(prompt.pictures, theirs) for prompt, theirs in pairs)
    return ParityReport(
        model=served.model,
        examples=len(examples),
        tokens=sum(len(prompt.ids) for prompt in prompts),
        frame_counts=count(len(example.frames) for example in examples),
        grids=tuple(sorted({prompt.pictures.grid_thw for prompt in prompts})),
        pictures=len(pictures or ()),
        largest_pixel_difference=largest,
        differing=tuple(differing),
    )
