"""Settings: frozen dataclasses built from YAML files and `key=value` overrides; the last value wins.

Unknown keys are reported with the nearest known one, and all problems of a file are reported together.
"""

import dataclasses
import difflib
import os
import types
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

import yaml

from vigil.errors import ConfigError, UsageError, redact

T = TypeVar("T")

TEXT_TAG = "tag:yaml.org,2002:str"
TIME_TAG = "tag:yaml.org,2002:timestamp"


class _SettingsLoader(yaml.SafeLoader):
    """YAML in which `16:15` and `2026-11-30` are text, as in YAML 1.2; in YAML 1.1 the former is the number 975."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        tag = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        is_plain = kind is yaml.ScalarNode and implicit[0]
        return TEXT_TAG if is_plain and (tag == TIME_TAG or ":" in value) else tag


def _load_yaml(text: str) -> Any:
    return yaml.load(text, Loader=_SettingsLoader)  # a safe loader


def config_root() -> Path:
    """Returns the folder of shipped settings: `$VIGIL_CONFIGS`, the checkout's `configs/`, or the package's copy."""
    override = os.environ.get("VIGIL_CONFIGS")
    if override:
        return Path(override)
    checkout = Path(__file__).resolve().parents[2] / "configs"
    return checkout if checkout.is_dir() else Path(__file__).resolve().parent / "configs"


def find_config(kind: str, name: str | Path) -> Path:
    """Returns the file for `name`, which is a path to a YAML file or a name under `configs/<kind>/`.

    Raises UsageError, listing the available names, if there is none.
    """
    path = Path(name)
    if path.suffix in {".yaml", ".yml"} and path.is_file():
        return path
    folder = config_root() / kind
    shipped = folder / f"{Path(name).name.removesuffix('.yaml')}.yaml"
    if shipped.is_file() and len(path.parts) == 1:
        return shipped
    known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml"))) or "none"
    raise UsageError(f"no {kind} configuration {str(name)!r}; there are: {known} (or give a path to a YAML file)")


def read_yaml(path: Path) -> dict[str, Any]:
    """Returns the mapping in a YAML file; raises ConfigError if the file cannot be read or holds no mapping."""
    try:
        data = _load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read: {error.strerror}"]) from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(str(path), [f"is not valid YAML: {redact(' '.join(str(error).split()))}"]) from error
    if not isinstance(data, dict):
        raise ConfigError(str(path), ["must hold `key: value` lines at the top level"])
    return {str(key): value for key, value in data.items()}


def parse_overrides(
    arguments: Iterable[str], *, texts: Collection[str] = (), lists: Collection[str] = ()
) -> dict[str, Any]:
    """Parses `key=value` arguments into a mapping; values are YAML (`lr=1e-4`, `plot=false`), but without comments.

    Values of the keys in `texts` stay as typed, except that enclosing quotes are removed and `null` is None; `*` in
    such a key stands for an item of a list. Those also in `lists` may be YAML lists. Raises UsageError if a value is
    not valid YAML.
    """
    overrides: dict[str, Any] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        key = name.strip().lstrip("-")
        if not equals or not key:
            raise UsageError(f"expected key=value, got {redact(argument)!r}")
        is_text = any(fnmatchcase(key, text) for text in texts)
        overrides[key] = _text(value, may_be_list=key in lists) if is_text else _override(key, value)
    return overrides


def _override(key: str, text: str) -> Any:
    try:
        return parse_value(text)
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(
            f"the value of {key} cannot be read as YAML: {redact(text)!r}; put it into quotes of its own: "
            f"{key}='\"TEXT\"'"
        ) from error


def _text(text: str, *, may_be_list: bool) -> Any:
    """Returns the text as typed, unless it is plainly a quoted string, `null` or, if allowed, a list."""
    try:
        value = text if not text or ends_in_comment(text) else _load_yaml(text)
    except (yaml.YAMLError, ValueError):
        return text
    is_quoted = isinstance(value, str) and text.startswith(("'", '"'))
    return value if value is None or is_quoted or (may_be_list and isinstance(value, list)) else text


def parse_value(text: str) -> Any:
    """Parses one YAML value; `1e-4` is a number (YAML 1.1 would make it text).

    Command-line values have no comments: if YAML would strip one, the whole value is text.
    """
    if not text or ends_in_comment(text):
        return text
    value = _load_yaml(text)
    return as_number(value) if isinstance(value, str) else value


def ends_in_comment(text: str) -> bool:
    """Returns whether YAML would strip a comment from the end of this value; raises YAMLError if it is not YAML."""
    ignored = (yaml.StreamStartToken, yaml.StreamEndToken, yaml.BlockEndToken)
    ends = [token.end_mark.index for token in yaml.scan(text) if not isinstance(token, ignored)]
    return bool(text[max(ends, default=0) :].strip())


def text_keys(cls: type, above: str = "") -> Iterator[str]:
    """Yields the keys of a dataclass that hold text or a path, including nested ones (`group.name`, `list.*.name`)."""
    for name, hint in typing.get_type_hints(cls).items():
        if {str, Path} & set(_options(hint)):
            yield f"{above}{name}"
        item = _item_hint(hint)
        below = f"{above}{name}." if item is None else f"{above}{name}.*."
        for option in _options(hint if item is None else item):
            if isinstance(option, type) and dataclasses.is_dataclass(option):
                yield from text_keys(option, below)


def _options(hint: Any) -> tuple[Any, ...]:
    """The types of a union, or else the type itself."""
    return typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)


def _item_hint(hint: Any) -> Any:
    """The type of the items of a list that may hold settings groups; None if the type is something else."""
    options = [option for option in _options(hint) if option is not type(None)]
    hint = options[0] if len(options) == 1 else hint
    item = typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else None
    return item if item is not None and any(dataclasses.is_dataclass(option) for option in _options(item)) else None


def as_number(text: str) -> float | str:
    """Returns the number that the text represents, such as `1e-4`, or else the text."""
    try:
        return float(text)
    except ValueError:
        return text


def build_over(cls: type[T], data: Mapping[str, Any], overrides: Mapping[str, Mapping[str, Any]], *, where: str) -> T:
    """Builds `cls` from a file's data with overrides on top.

    `overrides` maps each override as typed (`--set x=1`) to its values. Raises ConfigError that names the origin of the
    problem: the file or the override.
    """
    whole = dict(data)
    for changed in overrides.values():
        whole |= changed
    try:
        return from_mapping(cls, whole, where=where)
    except ConfigError as error:
        # A problem of one override that a later one corrects does not count.
        of_overrides = set(error.problems) - set(_problems(cls, data, where=where))
        for argument, changed in overrides.items():
            added = [problem for problem in _problems(cls, {**data, **changed}, where=where) if problem in of_overrides]
            if added:
                raise ConfigError(redact(argument), added) from None
        raise


def _problems(cls: type[Any], data: Mapping[str, Any], *, where: str) -> Sequence[str]:
    try:
        from_mapping(cls, data, where=where)
    except ConfigError as error:
        return error.problems
    except UsageError:
        return ()
    return ()


def load_config(cls: type[T], path: Path, overrides: Sequence[str] = ()) -> T:
    """Builds `cls` from a YAML file and `key=value` arguments; raises ConfigError listing every problem."""
    data = read_yaml(path) | parse_overrides(overrides, texts=set(text_keys(cls)))
    return from_mapping(cls, data, where=str(path))


def from_mapping(cls: type[T], data: Mapping[str, Any], *, where: str) -> T:
    """Builds a frozen settings dataclass from plain data; raises ConfigError listing all wrong names and types."""
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    problems = [unknown_key(key, fields) for key in data if key not in fields]
    problems += [f"{name} is missing" for name, f in fields.items() if name not in data and _required(f)]
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key in fields:
            values[key], wrong = _value(hints[key], key, value, where=where)
            problems += wrong
    if problems:
        raise ConfigError(where, problems)
    return cls(**values)


def _value(hint: Any, key: str, value: Any, *, where: str) -> tuple[Any, list[str]]:
    """The value of a key, and all that is wrong with it."""
    item = _item_hint(hint)
    if item is not None and isinstance(value, Sequence) and not isinstance(value, str):
        return _items(item, key, value, where=where)
    try:
        return _coerce(hint, value, where=f"{where}: {key}"), []
    except ConfigError as error:
        return None, [f"{key}: {problem}" for problem in error.problems]
    except (TypeError, ValueError):
        # A name such as 007, on or null is something else to YAML.
        quotes = "; put it into quotes" if str in _options(hint) and not isinstance(value, Sequence | Mapping) else ""
        return None, [f"{key} must be {_type_name(hint)}, not {redact(repr(value))}{quotes}"]


def _items(hint: Any, key: str, values: Sequence[Any], *, where: str) -> tuple[tuple[Any, ...], list[str]]:
    """The groups of settings in a list, and all that is wrong with each of them, under names such as `rules.0`."""
    items: list[Any] = []
    problems: list[str] = []
    for number, value in enumerate(values):
        name = f"{key}.{number}"
        try:
            item, wrong = _value(hint, name, value, where=where)
        except UsageError as error:
            item, wrong = None, [f"{name}: {error}"]
        items.append(item)
        problems += wrong
    return tuple(items), problems


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Returns the message for an unknown key, with the nearest known one."""
    near = difflib.get_close_matches(key, list(known), n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"unknown key {redact(key)!r}{hint}"


def _required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _coerce(hint: Any, value: Any, *, where: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, Mapping):
            raise TypeError
        return from_mapping(hint, value, where=where)
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return _coerce_union(typing.get_args(hint), value, where=where)
    if origin is tuple:
        return _coerce_tuple(typing.get_args(hint), value, where=where)
    if origin is typing.Literal:
        return _coerce_choice(typing.get_args(hint), value)
    if _is_enum(hint):
        return hint(_coerce_choice(tuple(hint), value))
    if origin is dict:
        return _coerce_plain(dict, value)
    return _coerce_plain(hint, value)


def _coerce_union(options: tuple[Any, ...], value: Any, *, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    if isinstance(value, Mapping) and (kinds := _kinds(options)):
        return _coerce_kind(kinds, value, where=where)
    for option in options:
        if option is type(None):
            continue
        try:
            return _coerce(option, value, where=where)
        except (TypeError, ValueError):
            continue
    raise TypeError


def _kinds(options: tuple[Any, ...]) -> dict[str, Any]:
    """The dataclasses of a union by the value of their field `type`; empty if it does not distinguish them."""
    groups = [option for option in options if option is not type(None)]
    hints = [
        typing.get_type_hints(option).get("type") if dataclasses.is_dataclass(option) else None for option in groups
    ]
    if not all(typing.get_origin(hint) is typing.Literal for hint in hints):
        return {}
    return {typing.get_args(hint)[0]: option for hint, option in zip(hints, groups, strict=True)}


def _coerce_kind(kinds: Mapping[str, Any], value: Mapping[str, Any], *, where: str) -> Any:
    kind = value.get("type")
    known = f"there are {', '.join(kinds)}"
    if kind is None:
        raise ConfigError(where, [f"type is missing; {known}"])
    if kind not in kinds:
        near = difflib.get_close_matches(str(kind), list(kinds), n=1)
        raise ConfigError(
            where, [f"unknown type {kind!r} " + (f"(did you mean {near[0]!r}?)" if near else f"({known})")]
        )
    return from_mapping(kinds[kind], value, where=where)


def _coerce_tuple(items: tuple[Any, ...], value: Any, *, where: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError
    return tuple(_coerce(items[0], item, where=where) for item in value)


def _is_enum(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, StrEnum)


def _coerce_choice(choices: tuple[Any, ...], value: Any) -> Any:
    if value not in choices:
        raise TypeError
    return value


def _coerce_plain(hint: Any, value: Any) -> Any:
    if hint is Any:
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):
        return float(value)
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise TypeError
    return value


def _type_name(hint: Any) -> str:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(hint)))
    if _is_enum(hint):
        return "one of " + ", ".join(repr(each.value) for each in hint)
    if origin is dict or all(dataclasses.is_dataclass(option) for option in _options(hint)):
        return "a group of `key: value` lines"
    if origin in (types.UnionType, typing.Union):
        return " or ".join(map(_type_name, typing.get_args(hint)))
    if origin is tuple:
        return "a list"
    names = {float: "a number", int: "a whole number", str: "text", bool: "true or false", Path: "a path"}
    return "null" if hint is type(None) else names.get(hint, str(hint))
