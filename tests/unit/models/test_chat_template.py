"""The bare template is the model's own, less the markers around its videos."""

from pathlib import Path

import jinja2
import pytest

from model_folder import STOCK_TEMPLATE, make_model
from vigil.errors import ManifestError
from vigil.models.chat_template import SHIPPED, model_chat_template, serving_template, write_serving_template


def _render(template: str, *parts: dict[str, str]) -> str:
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    messages = [{"role": "user", "content": list(parts)}]
    return environment.from_string(template).render(messages=messages, add_generation_prompt=True)


VIDEO, IMAGE, TEXT = {"type": "video"}, {"type": "image"}, {"type": "text", "text": "Q"}


def test_videos_lose_their_outer_markers_and_images_keep_theirs(tmp_path: Path) -> None:
    bare = serving_template(make_model(tmp_path / "model"))
    assert _render(bare, VIDEO, TEXT) == "<|im_start|>user\n<|video_pad|>Q<|im_end|>\n<|im_start|>assistant\n"
    assert _render(bare, IMAGE, TEXT) == _render(STOCK_TEMPLATE, IMAGE, TEXT)


def test_the_shipped_template_lays_out_the_same(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model")
    derived = serving_template(model)
    (model / "chat_template.jinja").unlink()
    shipped = serving_template(model)
    assert shipped == SHIPPED.read_text()
    for parts in ((VIDEO, TEXT), (IMAGE, IMAGE, TEXT), (TEXT,)):
        assert _render(shipped, *parts) == _render(derived, *parts)


def test_a_template_in_json_is_found(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model")
    (model / "chat_template.jinja").unlink()
    (model / "chat_template.json").write_text('{"chat_template": "x"}')
    assert model_chat_template(model) == "x"


def test_a_template_that_is_bare_already_stays(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model")
    bare = serving_template(model)
    (model / "chat_template.jinja").write_text(bare)
    assert serving_template(model) == bare


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ messages[0].role }}", "does not write"),
        ("{% if %}", "cannot be rendered"),
        ("{{ '<|vision_start|>' + '<|video_pad|>' + '<|vision_end|>' }}?", "cannot be taken out"),
    ],
)
def test_a_template_of_another_kind_is_refused(tmp_path: Path, template: str, words: str) -> None:
    model = make_model(tmp_path / "model")
    (model / "chat_template.jinja").write_text(template)
    with pytest.raises(ManifestError, match=rf"{words}.*--chat-template FILE"):
        serving_template(model)


def test_the_same_model_writes_the_same_file(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model")
    first = write_serving_template(model, tmp_path / "run")
    assert write_serving_template(model, tmp_path / "run") == first
    assert [path.name for path in (tmp_path / "run").iterdir()] == [first.name]
