"""Chooses the chat template that lays out a video as in training: the model's own, or one derived from it.

vLLM with transformers 5.10 or later expands only the video token itself, so the stock template of Qwen3-VL leaves an
outer pair of vision markers that no training example has. A bare `<|video_pad|>` corrects that; images are unchanged.
The template is derived from the model's own by one substitution, and verified by rendering both.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from vigil.errors import ManifestError
from vigil.files import write_atomically
from vigil.models import FAMILIES, ModelFamily
from vigil.models.family import VIDEO_PAD, VISION_END, VISION_START

MARKED_VIDEO = f"{VISION_START}{VIDEO_PAD}{VISION_END}"
BARE_VIDEO = VIDEO_PAD
SHIPPED = Path(__file__).parent / "bare_video.jinja"

_SAMPLES: tuple[Sequence[dict[str, Any]], ...] = (
    ({"type": "video", "video": ""}, {"type": "text", "text": "?"}),
    ({"type": "image", "image": ""}, {"type": "image", "image": ""}, {"type": "text", "text": "?"}),
    ({"type": "text", "text": "?"},),
)


def served_template(model_dir: Path, family: ModelFamily, folder: Path) -> Path | None:
    """Writes the template to serve a model with into `folder`; returns None if the model's own one is right.

    Raises ManifestError if the model has no template, or one that lays out a video differently than in training.
    """
    if family.served_template == "bare_video":
        return write_serving_template(model_dir, folder)
    stock = model_chat_template(model_dir)
    if stock is None:
        raise ManifestError(
            f"{model_dir} has no chat template (chat_template.jinja, or in tokenizer_config.json); fetch the model "
            "again, or name one yourself with --chat-template FILE"
        )
    if _render(stock, _SAMPLES[0], model_dir) != family.served_prompt("?"):
        raise _unfit(model_dir, "it lays a video out otherwise than it is trained on", title=family.title)
    return None


def write_serving_template(model_dir: Path, folder: Path) -> Path:
    """Writes the bare-video template of a model into `folder` and returns its path, which depends on its content."""
    text = serving_template(model_dir)
    path = folder / f"bare-video-{hashlib.sha256(text.encode()).hexdigest()[:8]}.jinja"
    if not path.is_file():
        write_atomically(path, text)
    return path


def serving_template(model_dir: Path) -> str:
    """Returns the model's chat template with bare video tokens, or the shipped one if the model has none.

    Raises ManifestError if the model's template is not of the Qwen3-VL kind.
    """
    stock = model_chat_template(model_dir)
    if stock is None:
        return SHIPPED.read_text(encoding="utf-8")
    bare = stock.replace(MARKED_VIDEO, BARE_VIDEO)
    for sample in _SAMPLES:
        expected = _render(stock, sample, model_dir).replace(MARKED_VIDEO, BARE_VIDEO)
        if _render(bare, sample, model_dir) != expected:
            raise _unfit(model_dir, "the markers around its videos cannot be taken out")
    if f"{BARE_VIDEO}?" not in _render(bare, _SAMPLES[0], model_dir):
        raise _unfit(model_dir, f"it does not write {BARE_VIDEO} for a video")
    return bare


def model_chat_template(model_dir: Path) -> str | None:
    """Returns the chat template in a model folder, from the first of three possible files, or None."""
    plain = model_dir / "chat_template.jinja"
    if plain.is_file():
        return plain.read_text(encoding="utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        try:
            template = json.loads((model_dir / name).read_text(encoding="utf-8")).get("chat_template")
        except (OSError, ValueError, AttributeError):
            continue
        if isinstance(template, str):
            return template
    return None


def _render(template: str, content: Sequence[dict[str, Any]], model_dir: Path) -> str:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    messages = [{"role": "user", "content": list(content)}]
    try:
        return environment.from_string(template).render(messages=messages, add_generation_prompt=True)
    except jinja2.TemplateError as error:
        raise _unfit(model_dir, f"it cannot be rendered: {error}") from error


def _unfit(model_dir: Path, why: str, *, title: str = FAMILIES[0].title) -> ManifestError:
    return ManifestError(
        f"the chat template of {model_dir} does not fit {title} ({why}); name one yourself with --chat-template FILE"
    )
