"""The manifest `vigil.json` of a model, and its contract: the conditions the model was trained under.

Training writes it into the adapter's folder, export copies it to the merged model, serving reads it, and every client
checks it. Servers declare their contract too: `vllm.sh` answers `GET /vigil.json`, and with `--alias` it lists a second
model name that encodes the contract (`Contract.alias`), as older servers always did.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import quote, unquote

from vigil.config import from_mapping
from vigil.errors import ConfigError, ManifestError, UsageError
from vigil.files import write_json
from vigil.frames import GRID_KEYS, FrameSampling
from vigil.questions import Label, Question, load_question

MANIFEST_NAME = "vigil.json"
ALIAS_PREFIX = "vigil-contract"
ANSWERS_KEY = "answers"
USUAL_FAMILY = "qwen3_vl"
"""The family of a manifest that names none; older manifests do not, since there was only this family."""

BESIDE: Mapping[str, str] = {ANSWERS_KEY: "words", "describe": ""}
"""Contract fields and their defaults that are saved under `training`, because older versions refuse unknown keys."""

Answers: TypeAlias = Literal["words", "verdict"]
"""What a model was trained to answer to an alarm: verdict and description, or the verdict alone."""

MODEL_DIR_ADVICE = (
    "name a folder that `vigil train` or `vigil export` wrote, or leave the model's folder out: then the contract is "
    "the dataset's or the served model's, and the probabilities are as the model gives them"
)
"""Advice of commands that do not need the model's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractLabel:
    """One label of a question with other labels than `alarm` and `normal`."""

    name: str
    word: str
    is_alarm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What must be identical in training, scoring and watching.

    The labels of a question are its two words, or `labels` if it has others than `alarm` and `normal`. `answers` is the
    kind of answer the model was trained on, `describe` the task's question for a description. They
    are ignored when contracts are compared.
    """

    sampling: FrameSampling
    task: str
    question: str
    alarm_word: str = ""
    normal_word: str = ""
    labels: tuple[ContractLabel, ...] = ()
    answers: Answers = field(default="words", compare=False)
    describe: str = field(default="", compare=False)

    @classmethod
    def of(cls, question: Question, sampling: FrameSampling) -> "Contract":
        """Returns the contract of a question and a sampling."""
        labels: dict[str, Any]
        if question.has_two_labels:
            labels = {"alarm_word": question.alarm_word, "normal_word": question.normal_word}
        else:
            labels = {
                "labels": tuple(
                    ContractLabel(name=label.name, word=label.word, is_alarm=label.is_alarm)
                    for label in question.labels
                )
            }
        return cls(sampling=sampling, task=question.name, question=question.text, describe=question.describe, **labels)

    def as_json(self) -> dict[str, Any]:
        """Returns the contract as plain data; older versions reject `labels`, so they are left out if empty."""
        data = asdict(self) | {"sampling": self.sampling.as_json()}
        if not self.labels:
            del data["labels"]
        return data

    def as_question(self) -> Question:
        """Returns the question of the contract: the installed one of that name, if its text and labels are the same."""
        recorded = self._recorded()
        try:
            installed = load_question(self.task)
        except UsageError:
            return recorded
        if (installed.text, installed.words()) == (recorded.text, recorded.words()):
            return self.with_description(installed)
        return replace(
            recorded, describe=self.describe or installed.describe, labels=_with_folders(recorded, installed)
        )

    def with_description(self, question: Question) -> Question:
        """Returns a question with the contract's own question for a description, if the contract is of it."""
        return (
            replace(question, describe=self.describe or question.describe) if self.task == question.name else question
        )

    def _recorded(self) -> Question:
        """The question as the contract has it, without the folders of its labels."""
        if self.labels:
            labels = tuple(Label(name=one.name, word=one.word, is_alarm=one.is_alarm) for one in self.labels)
            text = self.question
            return Question(name=self.task, text=text, labels=labels, describe=self.describe, language=_language(text))
        return Question.with_two_labels(
            name=self.task,
            text=self.question,
            alarm_word=self.alarm_word,
            normal_word=self.normal_word,
            describe=self.describe,
            language=_language(self.alarm_word),
        )

    @property
    def alarm_words(self) -> tuple[str, ...]:
        """The words that begin the answer to an alarm."""
        return tuple(label.word for label in self.labels if label.is_alarm) or (self.alarm_word,)

    @property
    def normal_words(self) -> tuple[str, ...]:
        """The words that begin an answer without an alarm."""
        return tuple(label.word for label in self.labels if not label.is_alarm) or (self.normal_word,)

    @property
    def question_digest(self) -> str:
        """A digest (8 hex digits) of the question and the words of its labels."""
        labels = [label.word for label in self.labels] or [self.alarm_word, self.normal_word]
        words = "\n".join((self.question, *labels))
        return hashlib.sha256(words.encode()).hexdigest()[:8]

    @property
    def alias(self) -> str:
        """The contract encoded as a readable model name: `vigil-contract:fps=2:frames=6:...`."""
        s = self.sampling
        parts = {
            "fps": f"{s.fps:g}",
            "frames": s.frames,
            "overlap": f"{s.overlap:g}",
            "max_pixels": s.max_pixels,
            "jpeg_quality": s.jpeg_quality,
            "task": quote(self.task),
            "question": self.question_digest,
        }
        parts |= {key: getattr(s, key) for key in GRID_KEYS if key in s.as_json()}
        if self.answers != "words":
            parts[ANSWERS_KEY] = self.answers
        return ":".join([ALIAS_PREFIX, *(f"{key}={value}" for key, value in parts.items())])

    def alias_for(self, adapter: str) -> str:
        """Returns the alias for an adapter served beside its base; it includes the adapter, since names are unique."""
        return f"{self.alias}:adapter={quote(adapter)}"

    def differences(self, alias: str) -> list[str]:
        """Returns the differences between a server's alias and this contract, one sentence each."""
        theirs, ours = _with_default_grid(_alias_parts(alias)), _with_default_grid(_alias_parts(self.alias))
        return [
            _difference(key, ours=unquote(ours[key]), theirs=unquote(theirs.get(key, "not told")))
            for key in ours
            if key not in {"task", ANSWERS_KEY} and theirs.get(key) != ours[key]
        ]


def _difference(key: str, *, ours: str, theirs: str) -> str:
    if key == "question":  # of which an alias holds only a digest
        return "the question is not the one that the served model was trained on"
    return f"{key} is {ours} here and {theirs} at the server"


def _language(text: str) -> str:
    return "en" if text.isascii() else "zh"


def _with_folders(recorded: Question, installed: Question) -> tuple[Label, ...]:
    """The recorded labels, with the folders that the installed question gives to labels of the same names."""
    folders = {label.name: label.folders for label in installed.labels}
    return tuple(replace(label, folders=folders.get(label.name, label.folders)) for label in recorded.labels)


def parse_alias(alias: str) -> FrameSampling:
    """Returns the sampling that an alias encodes; raises ManifestError if it is malformed."""
    parts = _alias_parts(alias)
    try:
        return FrameSampling(
            fps=float(parts["fps"]),
            frames=int(parts["frames"]),
            overlap=float(parts["overlap"]),
            max_pixels=int(parts["max_pixels"]),
            jpeg_quality=int(parts["jpeg_quality"]),
            **{key: int(parts.get(key, usual)) for key, usual in GRID_KEYS.items()},
        )
    except (KeyError, ValueError, UsageError) as error:
        raise ManifestError(f"the server's contract {alias!r} cannot be read: {error}") from error


def answers_from_alias(alias: str) -> Answers:
    """Returns what a served model answers with, according to its alias; `words` if the alias does not say."""
    return "verdict" if _alias_parts(alias).get(ANSWERS_KEY) == "verdict" else "words"


def _alias_parts(alias: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in alias.split(":")[1:])


def _with_default_grid(parts: Mapping[str, str]) -> dict[str, str]:
    """Returns the parts of an alias, with the default grid filled in."""
    return {key: str(usual) for key, usual in GRID_KEYS.items()} | dict(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Temperature scaling fitted on held-out clips: p = sigmoid(logit / temperature + bias).

    With several labels the bias is added to the log probability of each that alarms (`vigil.calibration`).
    """

    temperature: float = 1.0
    bias: float = 0.0
    clips: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The base model of a training: `sha256` covers its config.json and weights, `revision` is empty if unknown."""

    name: str
    source: str = ""
    revision: str = ""
    sha256: str = ""

    def __str__(self) -> str:
        return f"{self.name} at {self.revision} from {self.source}" if self.revision else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A model's contract and provenance; `family` is the name of one of `vigil.models`."""

    contract: Contract
    base_model: str
    template: str
    data_digest: str = ""
    examples: int = 0
    created_utc: str = ""
    vigil_version: str = ""
    calibration: Calibration | None = None
    training: dict[str, Any] = field(default_factory=dict)
    format: int = 1
    base: Base | None = None
    family: str = USUAL_FAMILY

    def write(self, folder: Path) -> Path:
        """Writes `vigil.json` into a model folder atomically and returns its path."""
        path = folder / MANIFEST_NAME
        write_json(path, _to_json(self))
        return path


def _to_json(manifest: Manifest) -> dict[str, Any]:
    data = asdict(manifest)
    if manifest.base is None:
        del data["base"]  # older versions reject this key
    if manifest.family == USUAL_FAMILY:
        del data["family"]
    data["contract"] = manifest.contract.as_json()
    beside = {key: data["contract"].pop(key) for key in BESIDE}
    kept = {key: value for key, value in data["training"].items() if key not in BESIDE}
    return data | {"training": kept | {key: value for key, value in beside.items() if value != BESIDE[key]}}


def _from_json(data: dict[str, Any]) -> dict[str, Any]:
    training, contract = data.get("training"), data.get("contract")
    if not isinstance(training, dict) or not isinstance(contract, dict):
        return data
    beside = {key: training[key] for key in BESIDE if key in training}
    rest = {key: value for key, value in training.items() if key not in BESIDE}
    missing = [key for key in ("alarm_word", "normal_word") if key not in contract and "labels" not in contract]
    if missing:
        raise ConfigError(MANIFEST_NAME, [f"contract: {missing[0]} is missing"])
    return data | {"training": rest, "contract": contract | beside}


def read_manifest(folder: Path, *, advice: str = "") -> Manifest:
    """Reads the manifest of a model or dataset folder; raises ManifestError if it is missing or damaged.

    `advice` is appended to the message about a missing one.
    """
    path = folder / MANIFEST_NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        missing = f"{folder} has no {MANIFEST_NAME}, so how its frames were cut is unknown"
        if not folder.is_dir():
            missing = f"there is no folder {folder}"
        raise ManifestError(f"{missing}; {advice}" if advice else missing) from error
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise ManifestError(f"{path} is damaged: it holds no object")
    try:
        return from_mapping(Manifest, _from_json(data), where=str(path))
    except ConfigError as error:
        raise ManifestError(f"{path} is damaged or of another version: {'; '.join(error.problems)}") from error


def calibration_in(model_dir: Path | None) -> Calibration | None:
    """Returns the calibration in a model's folder; None if there is no folder or no calibration."""
    return None if model_dir is None else read_manifest(model_dir, advice=MODEL_DIR_ADVICE).calibration
