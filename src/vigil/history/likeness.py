"""How much alike in meaning a question and a line are, told against what the store holds otherwise.

The cosines of multilingual-e5-small bunch between 0.75 and 0.9 whatever is compared, and lines in the language of the
question come first. Two things mend that, measured by benchmarks/ask.py (docs/measurements/quality.md): the vectors of
each language are centred on their own mean (as in Libovicky, Rosa and Fraser, "How language-neutral is multilingual
BERT?", 2019), and a cosine is told in standard deviations above the mean of the store's lines.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vigil.history.embedder import TextEmbedder, Vectors
from vigil.history.question import content_words

HAN = re.compile(r"[\u4e00-\u9fff]")

TextLanguage: TypeAlias = Literal["en", "zh"]

QUESTIONS: Mapping[TextLanguage, tuple[str, ...]] = {
    "zh": (
        "车来过吗", "有人吗", "人多吗", "门开着吗", "谁来过", "有动物吗", "有什么异常吗", "灯亮着吗", "下雨了吗",
        "有人进来吗", "有人离开吗", "东西丢了吗", "有人受伤吗", "有人奔跑吗", "是谁在门外", "货物送到了吗",
    ),
    "en": (
        "did a car come", "was anyone there", "were there many people", "was the door open", "who was here",
        "were there animals", "was anything unusual", "were the lights on", "did it rain", "did someone come in",
        "did someone leave", "was anything lost", "was anyone hurt", "did anyone run", "who was outside the door",
        "did goods arrive",
    ),
}  # fmt: skip
"""Everyday questions: their mean is what all questions of a language have in common."""

SCENES: Mapping[TextLanguage, tuple[str, ...]] = {
    "zh": (
        "走廊里空无一人", "一位顾客在柜台前等候", "路边停着几辆车", "夜里画面昏暗", "有人骑车经过", "门关着",
        "有人坐在椅子上", "风吹动窗帘",
    ),
    "en": (
        "the corridor is empty", "a customer waits at the counter", "some cars are parked at the roadside",
        "the picture is dim at night", "somebody rides past", "the door is closed", "somebody sits on a chair",
        "the wind moves a curtain",
    ),
}  # fmt: skip
"""Everyday lines: they stand beside those of the store, which may have only a few yet."""


NEAR = 0.4
"""The centred cosine from which a line is found in any case."""


@dataclass(frozen=True, slots=True)
class AskedVector:
    """The centred vector of a question, and the mean and spread of its cosines with lines that are not asked for."""

    vector: Vectors
    mean: float
    spread: float

    def is_found(self, cosines: Vectors, *, stands_out: float) -> NDArray[np.bool_]:
        """Which lines count as found: by so many standard deviations above the mean, or near whatever else is there.

        In a store of a few lines the one that is meant makes much of the spread, and cannot stand out.
        """
        return (cosines > self.mean + stands_out * self.spread) | (cosines > NEAR)


class LikenessScale:
    """Tells how far a line stands out for a question; made of a sample of a store's lines.

    `texts` are the lines and `vectors` theirs, a row each. The scale keeps nothing of the texts.
    """

    def __init__(self, embedder: TextEmbedder, texts: Sequence[str], vectors: Vectors) -> None:
        self._embedder = embedder
        self._asked_centres = {
            language: _mean([embedder.query(content_words(each) or each) for each in questions])
            for language, questions in QUESTIONS.items()
        }
        everyday = [
            (text, row) for some in SCENES.values() for text, row in zip(some, embedder.passage(some), strict=True)
        ]
        known = [*everyday, *zip(texts, vectors, strict=True)]
        # A line that comes again and again counts once for the mean: it would be all that the mean tells.
        distinct = dict(known)
        self._centres = {
            language: _mean([row for text, row in distinct.items() if language_of(text) == language])
            for language in SCENES
        }
        self._lines = self.centred([text for text, _ in known], np.stack([row for _, row in known]))

    def asked(self, words: str) -> AskedVector:
        """A question as it is compared with lines."""
        vector = _unit(self._embedder.query(words) - self._asked_centres[language_of(words)])
        usual = self._lines @ vector
        return AskedVector(vector, float(usual.mean()), float(usual.std()))

    def cosines(self, asked: AskedVector, texts: Sequence[str], vectors: Vectors) -> Vectors:
        """The cosine of a question with each line, both centred."""
        return np.asarray(self.centred(texts, vectors) @ asked.vector, np.float32)

    def centred(self, texts: Sequence[str], vectors: Vectors) -> Vectors:
        """The vectors of lines without what all lines of their language have in common, of length 1."""
        centres = np.stack([self._centres[language_of(text)] for text in texts])
        return _unit(vectors - centres)


def language_of(text: str) -> TextLanguage:
    """Chinese if there is any Chinese character in it."""
    return "zh" if HAN.search(text) else "en"


def _mean(rows: Iterable[Vectors]) -> Vectors:
    return np.asarray(np.mean(np.stack(list(rows)), axis=0), np.float32)


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-6), np.float32)
