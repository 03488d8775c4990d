from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from vigil.config import find_config, from_mapping, load_config, parse_overrides, parse_value, read_yaml, text_keys
from vigil.errors import ConfigError, UsageError


@dataclass(frozen=True, kw_only=True)
class Inner:
    depth: int = 1


@dataclass(frozen=True, kw_only=True)
class Settings:
    name: str
    rate: float = 2.0
    mode: Literal["fast", "exact"] = "exact"
    tags: tuple[str, ...] = ()
    inner: Inner = Inner()
    note: str | None = None


def test_defaults_yaml_and_words_are_applied_in_this_order(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("name: a\nrate: 3\n", encoding="utf-8")
    settings = load_config(Settings, path, ["rate=1e1", "tags=[x, y]"])
    assert settings == Settings(name="a", rate=10.0, tags=("x", "y"))


def test_an_unknown_key_names_the_nearest_known_one() -> None:
    with pytest.raises(ConfigError, match="unknown key 'rte' \\(did you mean 'rate'\\?\\)"):
        from_mapping(Settings, {"name": "a", "rte": 1}, where="here")


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        from_mapping(Settings, {"rate": "soon", "mode": "slow", "inner": {"dept": 2}, "extra": 1}, where="here")
    text = str(caught.value)
    assert len(caught.value.problems) == 5
    for part in ("name is missing", "rate must be a number", "'fast', 'exact'", "'depth'", "unknown key 'extra'"):
        assert part in text


def test_nested_settings_and_none_are_read() -> None:
    settings = from_mapping(Settings, {"name": "a", "inner": {"depth": 3}, "note": None}, where="here")
    assert settings.inner.depth == 3 and settings.note is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"note": 3}, "note must be text or null, not 3; put it into quotes"),
        ({"inner": 3}, "inner must be a group of `key: value` lines, not 3"),
        ({"tags": "x"}, "tags must be a list, not 'x'"),
    ],
)
def test_a_value_of_a_wrong_type_is_told_in_the_words_of_yaml(data: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_mapping(Settings, {"name": "a"} | data, where="here")
    assert list(caught.value.problems) == [message]


@pytest.mark.parametrize("text", ["16:15", "0:30", "1:02:03", "2026-11-30", "2026-11-30T08:00:00Z", "12:30.5"])
def test_a_time_or_a_date_without_quotes_is_text(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(f"at: {text}\n")
    assert read_yaml(tmp_path / "x.yaml") == {"at": text}
    assert parse_value(text) == text


@pytest.mark.parametrize("text", ["on", "007", "12", "~"])
def test_a_name_that_yaml_takes_for_something_else_is_to_be_put_into_quotes(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(f"name: {text}\n")
    with pytest.raises(ConfigError, match=r"name must be text, not .*; put it into quotes"):
        load_config(Settings, tmp_path / "x.yaml")


def test_a_true_is_no_number() -> None:
    with pytest.raises(ConfigError, match="depth must be a whole number"):
        from_mapping(Inner, {"depth": True}, where="here")


@pytest.mark.parametrize(
    ("text", "value"), [("1e-4", 1e-4), ("8", 8), ("true", True), ("a b", "a b"), ("", ""), ("[1, 2]", [1, 2])]
)
def test_a_word_is_read_as_yaml_with_exponents(text: str, value: object) -> None:
    assert parse_value(text) == value


@pytest.mark.parametrize(
    "text", ["x/night #3", "# 3", "1e-4 # fast", "false #no", "[1, 2] # both", '"a" # b', "a: b #c"]
)
def test_a_word_has_no_comments(text: str) -> None:
    assert parse_overrides([f"key={text}"]) == {"key": text}
    assert parse_overrides([f"key={text}"], texts=["key"]) == {"key": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x/夜 数据(1),v2 #3", "x/夜 数据(1),v2 #3"),
        (" x ", " x "),
        ("[a]", "[a]"),
        ("{a: 1}", "{a: 1}"),
        ("7", "7"),
        ("true", "true"),
        ("it's", "it's"),
        ("&a b", "&a b"),
        ("--- a", "--- a"),
        ("'x # y'", "x # y"),
        ('"7"', "7"),
        ("null", None),
    ],
)
def test_a_text_stays_as_it_was_typed_but_for_quotes_and_null(text: str, value: str | None) -> None:
    assert parse_overrides([f"key={text}"], texts=["key"]) == {"key": value}


def test_a_text_that_may_be_a_list_is_one_when_it_is_written_as_one() -> None:
    assert parse_overrides(["key=[a, b]"], texts=["key"], lists=["key"]) == {"key": ["a", "b"]}
    assert parse_overrides(["key=a #b"], texts=["key"], lists=["key"]) == {"key": "a #b"}


def test_the_texts_of_settings_are_found_by_their_types() -> None:
    assert set(text_keys(Settings)) == {"name", "note"}


def test_a_number_with_a_remark_behind_it_is_no_number(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("name: a", encoding="utf-8")
    assert load_config(Settings, path, ["name=7 #b"]).name == "7 #b"
    with pytest.raises(ConfigError, match="rate must be a number, not '3 #fast'"):
        load_config(Settings, path, ["rate=3 #fast"])


def test_a_word_without_an_equals_sign_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="expected key=value, got 'lr'"):
        parse_overrides(["lr"])


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1\n", "just text"])
def test_yaml_that_is_no_mapping_is_a_config_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"bad\.yaml"):
        read_yaml(path)


def test_a_name_that_is_not_there_lists_what_is() -> None:
    with pytest.raises(UsageError, match=r"there are: .*fight, fight_en"):
        find_config("tasks", "figth")


def test_a_name_cannot_leave_the_folder_of_settings() -> None:
    with pytest.raises(UsageError):
        find_config("tasks", "../train/tiny_lora")


@dataclass(frozen=True, kw_only=True)
class Circle:
    type: Literal["circle"] = "circle"
    name: str = ""
    radius: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Square:
    type: Literal["square"] = "square"
    side: float
    inner: Inner = Inner()

    def __post_init__(self) -> None:
        if self.side <= 0:
            raise UsageError("side must be above 0")


@dataclass(frozen=True, kw_only=True)
class Drawing:
    shapes: tuple[Circle | Square, ...] = (Circle(),)


def test_the_items_of_a_list_are_of_the_kind_that_their_type_says() -> None:
    made = from_mapping(Drawing, {"shapes": [{"type": "square", "side": 2}, {"type": "circle"}]}, where="here")
    assert made.shapes == (Square(side=2.0), Circle())
    assert set(text_keys(Drawing)) == {"shapes.*.name"}
    assert parse_overrides(["shapes.12.name=7", "shapes.1.side=7"], texts=["shapes.*.name"]) == {
        "shapes.12.name": "7",
        "shapes.1.side": 7,
    }


def test_what_is_wrong_with_the_items_of_a_list_is_told_with_their_numbers() -> None:
    wrong = [
        {"type": "square", "sied": 2},
        {"type": "squar", "side": 1},
        {"side": 1},
        "round",
        {"type": "square", "side": 0},
        {"type": "square", "side": 1, "inner": {"dept": 2}},
    ]
    with pytest.raises(ConfigError) as caught:
        from_mapping(Drawing, {"shapes": wrong}, where="here")
    assert caught.value.problems == (
        "shapes.0: unknown key 'sied' (did you mean 'side'?)",
        "shapes.0: side is missing",
        "shapes.1: unknown type 'squar' (did you mean 'square'?)",
        "shapes.2: type is missing; there are circle, square",
        "shapes.3 must be a group of `key: value` lines, not 'round'",
        "shapes.4: side must be above 0",
        "shapes.5: inner: unknown key 'dept' (did you mean 'depth'?)",
    )
    with pytest.raises(ConfigError, match="shapes must be a list, not 'round'"):
        from_mapping(Drawing, {"shapes": "round"}, where="here")
