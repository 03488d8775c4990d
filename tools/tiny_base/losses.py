"""The training losses of the base: the answers, plus dense targets for every patch and visual token.

The heads for the dense targets are not shipped; without them the base learns nothing for a thousand steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tools.tiny_base.forward import VisualFeatures, encode_frames, run_language_model, visual_hidden
from tools.tiny_base.windows import IGNORED, MERGE, NUM_TARGETS, TOKENS_PER_PAIR, PromptBatch, WindowArray, WindowImage

if TYPE_CHECKING:
    from transformers import Qwen3VLForConditionalGeneration

_NUM_MEMORY_TARGETS = NUM_TARGETS + 2


@dataclass(frozen=True)
class TinyLosses:
    """The loss terms of one step."""

    answers: Tensor
    patches: Tensor
    tokens: Tensor
    memory: Tensor


class TinyLearner(nn.Module):  # type: ignore[misc]
    """A base with the auxiliary heads for its dense targets."""

    def __init__(self, model: Qwen3VLForConditionalGeneration) -> None:
        super().__init__()
        self.model = model
        vision, text = model.config.vision_config, model.config.text_config
        self.patch_head = nn.Linear(vision.hidden_size, NUM_TARGETS)
        self.token_heads = nn.ModuleList(
            nn.Linear(text.hidden_size, NUM_TARGETS * MERGE**2) for _ in range(1 + len(vision.deepstack_visual_indexes))
        )
        self.memory_head = nn.Linear(text.hidden_size, _NUM_MEMORY_TARGETS)

    def losses(self, patches: WindowImage, prompt: PromptBatch, targets: WindowArray) -> TinyLosses:
        """The loss terms of a batch: uint8 patches (B, pairs, 48, 1536), prompts, targets (B, pairs, 48, 3)."""
        visual = encode_frames(self.model.model.visual, patches)
        hidden = run_language_model(self.model, visual, prompt)
        wanted = torch.as_tensor(targets, dtype=torch.float32)
        return TinyLosses(
            answers=self._answer_loss(hidden, prompt),
            patches=_gap(self.patch_head(visual.patches), wanted.flatten(0, 1)),
            tokens=self._token_loss(visual, wanted),
            memory=_gap(self.memory_head(visual_hidden(hidden, prompt)), _memory_targets(wanted)),
        )

    def _answer_loss(self, hidden: Tensor, prompt: PromptBatch) -> Tensor:
        labels = torch.from_numpy(prompt.labels)[:, 1:]
        chosen = labels != IGNORED
        logits = self.model.lm_head(hidden[:, :-1][chosen])
        return F.cross_entropy(logits.float(), labels[chosen])

    def _token_loss(self, visual: VisualFeatures, wanted: Tensor) -> Tensor:
        batch, pairs = wanted.shape[:2]
        cells = wanted.reshape(batch, pairs * TOKENS_PER_PAIR, -1)
        features = (visual.tokens, *visual.deepstack)
        gaps = [_gap(head(feature), cells) for head, feature in zip(self.token_heads, features, strict=True)]
        return torch.stack(gaps).mean()


def _gap(guess: Tensor, wanted: Tensor) -> Tensor:
    return 10.0 * F.mse_loss(guess.float().reshape(wanted.shape), wanted)


def _memory_targets(wanted: Tensor) -> Tensor:
    """Per token: the targets of its cell, its motion in the previous pair, and the change of its amount since."""
    batch, pairs = wanted.shape[:2]
    cells = wanted.reshape(batch, pairs, TOKENS_PER_PAIR, MERGE**2, NUM_TARGETS).mean(dim=3)
    before = torch.cat((cells[:, :1], cells[:, :-1]), dim=1)
    return torch.cat((cells, before[..., 1:2], (cells - before)[..., :1]), dim=-1)
