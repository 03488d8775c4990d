"""Training windows for the base: drawn, measured, and converted to patches, token ids and rotary positions.

All are laid out exactly as in training and serving. They are built directly in NumPy, because the layout never
changes; a test checks that they equal the processor's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tools.tiny_base.digits import IntArray, all_digits, measure
from tools.tiny_base.questions import Scenery
from vigil.synth.clip import ClipFacts, draw_clip
from vigil.synth.figure import BONES

WindowImage = NDArray[np.uint8]
WindowArray = NDArray[np.float32]

SIZE_WH = (128, 96)
PATCH = 16
MERGE = 2
GRID_HW = (SIZE_WH[1] // PATCH, SIZE_WH[0] // PATCH)
PATCHES = GRID_HW[0] * GRID_HW[1]
TOKENS_PER_PAIR = PATCHES // MERGE**2
NUM_TARGETS = 3  # per patch: amount of person, amount of motion, number of people
WINDOW_FRAMES = 6
FPS = 2.0

_DRAW_SIZES = ((128, 96), (128, 96), (192, 144), (256, 192))
_POINTS_PER_BONE = 3


@dataclass(frozen=True)
class TrainingWindow:
    """One window: frames (6, 96, 128, 3), its ground truth, and per-patch targets (3 pairs, 48 patches, 3)."""

    frames: WindowImage
    scenery: Scenery
    targets: WindowArray
    is_fight: bool


def draw_window(seed: int, *, difficulty: float, jitter: bool = True) -> TrainingWindow:
    """Draw the window of a seed; with `jitter`, the drawing size and the start time vary."""
    rng = np.random.default_rng((13, seed))
    size = _DRAW_SIZES[int(rng.integers(len(_DRAW_SIZES)))] if jitter else _DRAW_SIZES[0]
    clip = draw_clip(
        seed, fps=FPS, duration_s=WINDOW_FRAMES / FPS, size_wh=size, difficulty=difficulty,
        start_s=float(rng.uniform(0, 1)) if jitter else 0.0,
    )  # fmt: skip
    frames = np.stack([fitted(frame) for frame in clip.frames])
    measures = measure(clip.facts)
    xs = measures.centres[..., 0].mean(axis=0)
    seen = measures.visible.mean(axis=0) > 0.5
    people = tuple(
        (int(np.clip(x * 10, 0, 9)), name)
        for x, name, is_seen in zip(xs, clip.facts.behaviours, seen, strict=True)
        if is_seen
    )
    return TrainingWindow(
        frames, Scenery(all_digits(measures), people), patch_targets(clip.facts), clip.label == "fight"
    )


def fitted(frame: WindowImage) -> WindowImage:
    """The frame resized to SIZE_WH, the size that the base is trained on."""
    if (frame.shape[1], frame.shape[0]) == SIZE_WH:
        return frame
    return np.asarray(cv2.resize(frame, SIZE_WH, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def patch_targets(facts: ClipFacts) -> WindowArray:
    """The targets of each patch: (pairs, 48, 3), in the processor's patch order, each about 0..1."""
    frames, people = facts.joints.shape[:2]
    targets = np.zeros((frames // 2, NUM_TARGETS, PATCHES), np.float32)
    if people == 0:
        return np.ascontiguousarray(targets.transpose(0, 2, 1))
    starts, ends = facts.joints[:, :, [bone[0] for bone in BONES]], facts.joints[:, :, [bone[1] for bone in BONES]]
    parts = np.linspace(0, 1, _POINTS_PER_BONE)[:, None, None]
    points = np.concatenate([starts * (1 - part) + ends * part for part in parts], axis=2)
    for pair in range(frames // 2):
        first, second = points[2 * pair], points[2 * pair + 1]
        motion = np.linalg.norm((second - first) * np.array(GRID_HW[::-1]), axis=2)
        crowd = np.zeros(PATCHES)
        for person in range(people):
            amounts = [_cells(frame[person], None) for frame in (first, second)]
            targets[pair, 0] += (amounts[0] + amounts[1]) / 8
            moved = _cells(first[person], motion[person]) + _cells(second[person], motion[person])
            targets[pair, 1] = np.maximum(targets[pair, 1], moved / np.maximum(1, amounts[0] + amounts[1]) / 2)
            crowd += (amounts[0] + amounts[1]) > 0
        targets[pair, 2] = crowd / 2
    ordered = np.clip(targets, 0, 1.5)[:, :, _PATCH_ORDER]
    return np.ascontiguousarray(ordered.transpose(0, 2, 1))


def _cells(points: NDArray[np.float64], weights: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Count points (N, xy) per patch of a frame, weighted if given, row by row; points outside are ignored."""
    column, row = (points[:, 0] * GRID_HW[1]).astype(int), (points[:, 1] * GRID_HW[0]).astype(int)
    inside = (points >= 0).all(axis=1) & (points < 1).all(axis=1)
    chosen = None if weights is None else weights[inside]
    cell = (row * GRID_HW[1] + column)[inside]
    return np.bincount(cell, weights=chosen, minlength=PATCHES).astype(np.float64)


def _merged_order(rows: int, columns: int) -> IntArray:
    """The processor's patch order: 2 x 2 blocks row by row, and row by row within each block."""
    grid = np.arange(rows * columns).reshape(rows // MERGE, MERGE, columns // MERGE, MERGE)
    return grid.transpose(0, 2, 1, 3).reshape(-1)


_PATCH_ORDER = _merged_order(*GRID_HW)


def patches_of(frames: WindowImage) -> WindowImage:
    """Split frames (B, T, H, W, 3) into the processor's flat patches (B, T/2, 48, 1536), as uint8."""
    batch, times, height, width, channels = frames.shape
    rows, columns = height // PATCH // MERGE, width // PATCH // MERGE
    split = frames.reshape(batch, times // 2, 2, rows, MERGE, PATCH, columns, MERGE, PATCH, channels)
    ordered = split.transpose(0, 1, 3, 6, 4, 7, 9, 2, 5, 8)
    return np.ascontiguousarray(ordered).reshape(batch, times // 2, rows * columns * MERGE**2, -1)


Encode = Callable[[str], list[int]]
IGNORED = -100


@dataclass(frozen=True)
class PromptBatch:
    """Token ids and labels (B, L), positions (3, B, L), and a mask of visual tokens (L,), equal in all rows."""

    ids: IntArray
    labels: IntArray
    positions: IntArray
    is_visual: np.ndarray[tuple[int], np.dtype[np.bool_]]


def picture_text(num_pairs: int) -> str:
    """The part of the prompt for the frames, with one pad per visual token."""
    pads = "<|vision_start|>" + "<|video_pad|>" * TOKENS_PER_PAIR + "<|vision_end|>"
    times = [(2 * pair + 0.5) / FPS for pair in range(num_pairs)]
    return "".join(f"<{time:.1f} seconds>{pads}" for time in times)


def image_text() -> str:
    """The part of the prompt for a single image: no timestamp, and the image pad."""
    return "<|vision_start|>" + "<|image_pad|>" * TOKENS_PER_PAIR + "<|vision_end|>"


def build_batch(encode: Encode, questions: list[tuple[str, str]], *, num_pairs: int, pad_id: int) -> PromptBatch:
    """Lay out one question and answer per row for windows of `num_pairs` pairs of frames; 0 means a single image."""
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
    """M-RoPE positions: text advances all three axes, a pair of frames spans its rows and columns."""
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
