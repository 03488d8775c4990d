"""Resolves the contract of a job: which question is asked, and how frames are sampled.

    resolved = await resolve_contract(endpoint, model_dir=Path("models/fight"))
    judge = await Judge.connect(endpoint, resolved.question, resolved.sampling, **resolved.for_judge())

A contract is found, in this order, in the dataset, in the model's folder, and in what the served model declares; if
none of them has one, the defaults apply. A question that is named goes before the contract's.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from vigil.frames import FrameSampling
from vigil.judge.discovery import ServedModel, find_model, open_openai_client
from vigil.judge.endpoint import Endpoint
from vigil.judge.faults import retry_while_busy
from vigil.manifest import (
    MODEL_DIR_ADVICE,
    Answers,
    Calibration,
    Contract,
    calibration_in,
    parse_alias,
    read_manifest,
)
from vigil.questions import Question, load_question

TIMEOUT_S = 20.0

DEFAULT_QUESTION = "fight"

ContractOrigin: TypeAlias = Literal["dataset", "model folder", "server", "defaults"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedContract:
    """The question to ask and the sampling to ask it with; `origin` says where the sampling comes from.

    `answers` is what the model was trained to answer. `model_dir` holds its calibration, if it has one.
    """

    question: Question
    sampling: FrameSampling
    origin: ContractOrigin
    answers: Answers = "words"
    model_dir: Path | None = None

    @property
    def read_calibration(self) -> Callable[[], Calibration | None]:
        """Reads the calibration of the model from its folder; raises ManifestError if that has become unreadable."""
        return partial(calibration_in, self.model_dir)

    def for_judge(self) -> dict[str, Any]:
        """The keyword arguments of `Judge.connect` that the contract determines, beside question and sampling."""
        return {"answers": self.answers, "read_calibration": self.read_calibration}


async def resolve_contract(
    endpoint: Endpoint,
    *,
    question: Question | None = None,
    model_dir: Path | None = None,
    dataset: Path | None = None,
    max_pixels: int | None = None,
) -> ResolvedContract:
    """The contract under which a model is asked.

    `question` replaces that of the contract, `max_pixels` its size of pictures, except for the frames of a dataset,
    which exist already. Raises ManifestError if a folder has no readable manifest, EndpointError if the endpoint has to
    be asked and serves no such model.
    """
    contract, origin = _from_folders(model_dir, dataset)
    sampling = contract.sampling if contract else None
    if contract is None:
        served = await served_model(endpoint)
        contract = served.contract
        sampling = contract.sampling if contract else parse_alias(served.alias) if served.alias else None
        origin = "server" if sampling else "defaults"
    sampling = sampling or FrameSampling()
    return ResolvedContract(
        question=_question(question, contract),
        sampling=sampling if max_pixels is None or dataset is not None else replace(sampling, max_pixels=max_pixels),
        origin=origin,
        answers=contract.answers if contract else "words",
        model_dir=model_dir,
    )


def _from_folders(model_dir: Path | None, dataset: Path | None) -> tuple[Contract | None, ContractOrigin]:
    model = None if model_dir is None else read_manifest(model_dir, advice=MODEL_DIR_ADVICE).contract
    if dataset is not None:
        return read_manifest(
            dataset, advice=f"make it with: vigil dataset build CLIPS --out {dataset}"
        ).contract, "dataset"
    return (model, "model folder") if model else (None, "defaults")


def _question(named: Question | None, contract: Contract | None) -> Question:
    if contract is None:
        return named or load_question(DEFAULT_QUESTION)
    return contract.as_question() if named is None else contract.with_description(named)


async def served_sampling(endpoint: Endpoint) -> FrameSampling | None:
    """The frame sampling that the served model declares; None if it declares none. Raises EndpointError."""
    model = await served_model(endpoint)
    return parse_alias(model.alias) if model.alias else None


async def served_model(endpoint: Endpoint) -> ServedModel:
    """The model that an endpoint refers to; raises EndpointError if it serves none of that name, or several."""
    async with open_openai_client(endpoint, timeout_s=TIMEOUT_S, retries=2) as client:
        return await retry_while_busy(partial(find_model, client, endpoint))
