"""What is minimised while the base learns: its answers, and for a start what every patch and every token shows.

The heads for the second part are dropped when the base is shipped; without them nothing happens for a thousand steps.
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
    """The parts of one step's loss."""

    answers: Tensor
    patches: Tensor
    tokens: Tensor
    memory: Tensor


class TinyLearner(nn.Module):  # type: ignore[misc]
    """A base with the heads that teach it to look."""

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
        """The losses of a batch: uint8 patches (B, pairs, 48, 1536), prompts, targets (B, pairs, 48, 3)."""
        seen = encode_frames(self.model.model.visual, patches)
        hidden = run_language_model(self.model, seen, prompt)
        wanted = torch.as_tensor(targets, dtype=torch.float32)
        return TinyLosses(
            answers=self._answer_loss(hidden, prompt),
            patches=_gap(self.patch_head(seen.patches), wanted.flatten(0, 1)),
            tokens=self._token_loss(seen, wanted),
            memory=_gap(self.memory_head(visual_hidden(hidden, prompt)), _memory_targets(wanted)),
        )

    def _answer_loss(self, hidden: Tensor, prompt: PromptBatch) -> Tensor:
        labels = torch.from_numpy(prompt.labels)[:, 1:]
        chosen = labels != IGNORED
        logits = self.model.lm_head(hidden[:, :-1][chosen])
        return F.cross_entropy(logits.float(), labels[chosen])

    def _token_loss(self, seen: VisualFeatures, wanted: Tensor) -> Tensor:
        batch, pairs = wanted.shape[:2]
        cells = wanted.reshape(batch, pairs * TOKENS_PER_PAIR, -1)
        features = (seen.tokens, *seen.deepstack)
        gaps = [_gap(head(feature), cells) for head, feature in zip(self.token_heads, features, strict=True)]
        return torch.stack(gaps).mean()


def _gap(guess: Tensor, wanted: Tensor) -> Tensor:
    return 10.0 * F.mse_loss(guess.float().reshape(wanted.shape), wanted)


def _memory_targets(wanted: Tensor) -> Tensor:
    """Per token: what its cell shows now, what moved there a pair before, and how its amount has changed since."""
    batch, pairs = wanted.shape[:2]
    cells = wanted.reshape(batch, pairs, TOKENS_PER_PAIR, MERGE**2, NUM_TARGETS).mean(dim=3)
    before = torch.cat((cells[:, :1], cells[:, :-1]), dim=1)
    return torch.cat((cells, before[..., 1:2], (cells - before)[..., :1]), dim=-1)
