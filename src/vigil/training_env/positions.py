"""Corrects the token positions of Qwen2.5-VL in training to those of its pretraining, which vLLM uses too.

transformers 5.3 to 5.5 gives every frame of a video the same time and numbers rows across frames (its issue 45381), and
truncates the seconds between frames to integers (its issue 48669); LLaMA-Factory 0.9.5 uses its positions.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch

TEXT, IMAGE, VIDEO = 0, 1, 2


def mend_positions() -> None:
    """Replaces `get_rope_index` of every Qwen2.5-VL model in this process by `rope_index`."""
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLModel

    Qwen2_5_VLModel.get_rope_index = rope_index


def rope_index(
    model: Any,
    input_ids: torch.Tensor,
    mm_token_type_ids: torch.Tensor,
    image_grid_thw: torch.Tensor | None = None,
    video_grid_thw: torch.Tensor | None = None,
    second_per_grid_ts: Sequence[float] | torch.Tensor | None = None,
    attention_mask: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns positions `(3, batch, length)` in time, height and width, and each row's offset `(batch, 1)`.

    The offset is the next position minus the row's length. The arguments are those of the transformers method that
    this function replaces.
    """
    vision = model.config.vision_config
    blocks = {
        IMAGE: (_block(grid, vision.spatial_merge_size, 1.0) for grid in _rows(image_grid_thw)),
        VIDEO: _videos(video_grid_thw, second_per_grid_ts, vision),
    }
    positions = torch.zeros((3, *input_ids.shape), dtype=torch.long, device=input_ids.device)
    ahead = []
    for row, types in enumerate(mm_token_type_ids):
        kept = torch.ones_like(types, dtype=torch.bool) if attention_mask is None else attention_mask[row].bool()
        numbered = _number(types[kept].tolist(), blocks)
        positions[:, row, kept] = numbered.to(positions.device)
        ahead.append(int(numbered.max()) + 1 - len(types[kept]))
    return positions, torch.tensor(ahead, device=input_ids.device).unsqueeze(1)


def _number(types: Sequence[int], blocks: dict[int, Iterator[torch.Tensor]]) -> torch.Tensor:
    parts: list[torch.Tensor] = []
    following = 0
    for kind, run in itertools.groupby(types):
        length = len(list(run))
        block = torch.arange(length).expand(3, -1) if kind == TEXT else next(blocks[kind])
        parts.append(block + following)
        following = int(parts[-1].max()) + 1
    return torch.cat(parts, dim=1)


def _videos(grids: Any, seconds: Any, vision: Any) -> Iterator[torch.Tensor]:
    # In single precision, as in vLLM: otherwise products such as those of 2/7 s may truncate to another integer.
    seconds_list = itertools.repeat(1.0) if seconds is None else torch.as_tensor(seconds, dtype=torch.float32).tolist()
    for grid, seconds_per_group in zip(_rows(grids), seconds_list, strict=False):
        yield _block(grid, vision.spatial_merge_size, seconds_per_group * vision.tokens_per_second)


def _block(grid: Sequence[int], merge: int, interval: float) -> torch.Tensor:
    """Returns the positions `(3, tokens)` of one picture or video, starting at 0, in group, row, column order."""
    times = (torch.arange(grid[0], dtype=torch.float64) * interval).long()
    axes = torch.meshgrid(times, torch.arange(grid[1] // merge), torch.arange(grid[2] // merge), indexing="ij")
    return torch.stack(axes).reshape(3, -1)


def _rows(grids: torch.Tensor | None) -> list[list[int]]:
    return [] if grids is None else [[int(side) for side in grid] for grid in grids]
