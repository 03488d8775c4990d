"""Token ids and rotary positions of a window's prompt, exactly as training and serving lay them out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vigil.tiny.measures import IntArray
from vigil.tiny.windows import FPS, GRID_HW, MERGE, TOKENS_PER_PAIR

Encode = Callable[[str], list[int]]
IGNORED = -100


@dataclass(frozen=True)
class PromptBatch:
    """Token ids and labels (B, L), positions (3, B, L) and where the pictures are (L,), the same in every row."""

    ids: IntArray
    labels: IntArray
    positions: IntArray
    is_visual: np.ndarray[tuple[int], np.dtype[np.bool_]]


def picture_text(num_pairs: int) -> str:
    """The part of the prompt that stands for the frames, with one pad a visual token."""
    pads = "<|vision_start|>" + "<|video_pad|>" * TOKENS_PER_PAIR + "<|vision_end|>"
    times = [(2 * pair + 0.5) / FPS for pair in range(num_pairs)]
    return "".join(f"<{time:.1f} seconds>{pads}" for time in times)


def image_text() -> str:
    """The part of the prompt that stands for a single image: no time, another pad."""
    return "<|vision_start|>" + "<|image_pad|>" * TOKENS_PER_PAIR + "<|vision_end|>"


def build_batch(encode: Encode, questions: list[tuple[str, str]], *, num_pairs: int, pad_id: int) -> PromptBatch:
    """Lay out one question and answer a row over windows of num_pairs pairs of frames; 0 pairs are a single image."""
    pad_token = encode("<|video_pad|>" if num_pairs else "<|image_pad|>")[0]
    head = encode("<|im_start|>user\n" + (picture_text(num_pairs) if num_pairs else image_text()))
    rows, starts = [], []
    for question, answer in questions:
        asked = encode(f"{question}<|im_end|>\n<|im_start|>assistant\n")
        rows.append(head + asked + encode(f"{answer}<|im_end|>\n"))
        starts.append(len(head) + len(asked))
    length = max(len(row) for row in rows)
    ids = np.full((len(rows), length), pad_id)
    labels = np.full((len(rows), length), IGNORED)
    for number, (row, start) in enumerate(zip(rows, starts, strict=True)):
        ids[number, : len(row)] = row
        labels[number, start : len(row)] = row[start:]
    is_visual = np.zeros(length, dtype=bool)
    is_visual[: len(head)] = np.array(head) == pad_token
    positions = np.repeat(_positions(is_visual)[:, None], len(rows), axis=1)
    return PromptBatch(ids, labels, positions, is_visual)


def _positions(is_visual: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> IntArray:
    """Interleaved M-RoPE: text counts on in all three axes, a picture spans its rows and columns."""
    rows, columns = GRID_HW[0] // MERGE, GRID_HW[1] // MERGE
    positions = np.zeros((3, len(is_visual)), dtype=np.int64)
    here, following = 0, 0
    while here < len(is_visual):
        if not is_visual[here]:
            positions[:, here] = following
            here, following = here + 1, following + 1
            continue
        span = slice(here, here + TOKENS_PER_PAIR)
        positions[0, span] = following
        positions[1, span] = following + np.repeat(np.arange(rows), columns)
        positions[2, span] = following + np.tile(np.arange(columns), rows)
        here, following = here + TOKENS_PER_PAIR, following + max(rows, columns)
    return positions
