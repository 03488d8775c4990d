"""What a family says, and that nothing else says it."""

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from vigil.errors import UsageError
from vigil.frames import GRID_KEYS, FrameSampling
from vigil.manifest import USUAL_FAMILY
from vigil.models import FAMILIES, QWEN2_5_VL, QWEN3_VL, family_in, family_named, family_of, family_reading, time_text
from vigil.tiny import BASE_FOLDER

ROOT = Path(__file__).resolve().parents[3]
SOURCES = [path for folder in ("src/vigil", "app") for path in (ROOT / folder).rglob("*.py")]
LABORATORY = ("tiny", "rehearsal")
"""They make models of one family."""

ELSEWHERE = ("training_env", "inside")
"""Scripts of other environments, which import nothing of Vigil."""

FAMILY_WORDS = re.compile(r"seconds>|<\|(vision_start|vision_end|video_pad|image_pad)\|>|qwen[23]|qwen2_5|nothink")
GRID_NAMES = re.compile(r"pixel|grid|side|cell|patch|pair|group|multiple|visual|fit", re.IGNORECASE)


def test_the_first_family_is_what_names_none() -> None:
    assert FAMILIES[0].name == USUAL_FAMILY
    assert FAMILIES[0].grid == GRID_KEYS
    assert FAMILIES[0].reads(FrameSampling())


def test_a_model_is_of_the_family_that_its_config_says() -> None:
    assert family_in(BASE_FOLDER) is QWEN3_VL
    assert family_of({"model_type": "qwen2_5_vl"}) is QWEN2_5_VL
    assert family_named("qwen2_5_vl") is QWEN2_5_VL


@pytest.mark.parametrize("config", [{"model_type": "llava"}, {}, {"model_type": ["qwen3_vl"]}])
def test_an_unknown_model_is_one_error_that_names_the_known_ones(config: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError) as error:
        family_in(tmp_path)
    assert all(family.name in str(error.value) for family in FAMILIES)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_config_that_says_nothing_is_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UsageError):
        family_in(tmp_path)
    with pytest.raises(UsageError, match="no model folder"):
        family_in(tmp_path / "none")


def test_an_unknown_name_or_grid_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"qwen3_vl \(Qwen3-VL\), qwen2_5_vl"):
        family_named("qwen9")
    with pytest.raises(UsageError, match="multiples of 14 px in groups of 2"):
        family_reading(replace(FrameSampling(), pixel_multiple=14))
    assert family_reading(FrameSampling(pixel_multiple=28)) is QWEN2_5_VL


def test_the_prompts_are_as_each_family_is_trained() -> None:
    end = "?<|im_end|>\n<|im_start|>assistant\n"
    pair = "<|vision_start|><|vision_end|>"
    assert QWEN3_VL.training_prompt("?", 4, 2.0) == (f"<|im_start|>user\n<0.2 seconds>{pair}<1.2 seconds>{pair}{end}")
    system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    assert QWEN2_5_VL.training_prompt("?", 4, 2.0) == f"{system}<|im_start|>user\n{pair}{end}"
    marked = "<|vision_start|><|video_pad|><|vision_end|>"
    assert (
        QWEN2_5_VL.served_prompt("?") == QWEN2_5_VL.processor_prompt("?") == f"{system}<|im_start|>user\n{marked}{end}"
    )
    assert QWEN3_VL.served_prompt("?") == f"<|im_start|>user\n<|video_pad|>{end}"
    assert time_text(0.25) == "<0.2 seconds>"


def test_the_bounds_of_a_processor_leave_a_whole_context_of_video_as_it_is() -> None:
    assert QWEN3_VL.video_size(7680) == {"shortest_edge": 4096, "longest_edge": 7680 * 2 * 32 * 32}
    assert QWEN2_5_VL.video_size(7680) == {"shortest_edge": 3136, "longest_edge": 7680 * 28 * 28}


def _own_sources() -> Iterator[tuple[Path, str]]:
    for path in SOURCES:
        parts = path.relative_to(ROOT).parts
        if not {"models", *LABORATORY, *ELSEWHERE} & set(parts):
            yield path, path.read_text(encoding="utf-8")


def _code_strings(source: str) -> Iterator[str]:
    """The string literals of a module that are no docstrings."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, documented)]
    prose = {id(line.value) for body in bodies for line in body if isinstance(line, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


def test_no_other_code_holds_the_marks_times_or_names_of_a_family() -> None:
    """Configurations are named after the models that they are for; the chat shows one to newcomers."""
    allowed = {
        "src/vigil/manifest.py": {USUAL_FAMILY},
        "tools/demo.py": None,
        "src/vigil/training/schedule.py": None,
    }
    found = [
        f"{path.relative_to(ROOT)}: {text[:60]!r}"
        for path, source in _own_sources()
        for text in _code_strings(source)
        if FAMILY_WORDS.search(text)
        and (kept := allowed.get(str(path.relative_to(ROOT)), set())) is not None
        and text not in kept
    ]
    assert found == []


def test_no_other_code_computes_with_the_numbers_of_a_grid() -> None:
    """Looks for 28, 32, 784 or 1024 in lines about pixels, groups or cells; `FrameSampling` has one as its default."""
    found = []
    for path, source in _own_sources():
        lines = source.splitlines()
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            line = lines[token.start[0] - 1] if token.start[0] <= len(lines) else ""
            if token.type == tokenize.NUMBER and token.string in {"28", "32", "784"} and GRID_NAMES.search(line):
                found.append(f"{path.relative_to(ROOT)}:{token.start[0]}: {line.strip()}")
    assert [place for place in found if not place.startswith("src/vigil/frames.py:")] == []
    assert [place for place in found if place.startswith("src/vigil/frames.py:")] == [
        place for place in found if "PIXEL_MULTIPLE = 32" in place
    ]
