"""Flags of vLLM: ours by name, and the user's as given on the command line."""

import itertools
import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

Flags: TypeAlias = dict[str, tuple[str, ...]]
"""Flags by name with `--`, each with its values; a switch has none."""

HUMAN = re.compile(r"(\d+(?:\.\d+)?)([kmg]?)", re.IGNORECASE)
POWERS = ("", "k", "m", "g")
AUTO = ("auto", "-1")
"""The value that makes vLLM determine a number itself."""


def flags_of(vllm: Mapping[str, Any]) -> Flags:
    """The `vllm` part of settings as flags: `true` and `false` are a switch and its `--no-` form."""
    flags: Flags = {}
    for key, value in vllm.items():
        name = f"--{key.lstrip('-').replace('_', '-')}"
        if isinstance(value, bool):
            flags[name if value else f"--no-{name[2:]}"] = ()
        elif isinstance(value, list):
            flags[name] = tuple(map(str, value))
        else:
            flags[name] = (json.dumps(value) if isinstance(value, dict) else str(value),)
    return flags


def as_arguments(flags: Flags) -> tuple[str, ...]:
    """Flags as command line arguments."""
    return tuple(argument for flag, values in flags.items() for argument in (flag, *values))


def given_flags(extra: Sequence[str]) -> set[str]:
    """The flags among arguments for vLLM, as `--max-model-len`; `--no-x` and `--x.part` count as `--x`."""
    flags = (argument.partition("=")[0].partition(".")[0] for argument in extra if argument.startswith("--"))
    return {"--" + flag[2:].replace("_", "-").removeprefix("no-") for flag in flags}


def given_value(extra: Sequence[str], flag: str) -> str:
    """The value that the user gave a flag, the last one as in vLLM; empty if there is none."""
    arguments = [
        part for argument in extra for part in (argument.split("=", 1) if argument.startswith("--") else [argument])
    ]
    values = [value for name, value in itertools.pairwise(arguments) if name.replace("_", "-") == flag]
    return values[-1] if values else ""


def switched_on(flag: str, extra: Sequence[str], vllm: Mapping[str, Any]) -> bool:
    """Whether a switch is on: the user's last `--x` or `--no-x` counts; without one, the settings."""
    arguments = ("--" + argument[2:].replace("_", "-") for argument in extra if argument.startswith("--"))
    given = [argument for argument in arguments if argument in (flag, f"--no-{flag[2:]}")]
    return given[-1] == flag if given else flag in flags_of(vllm)


def as_tokens(value: str) -> int | None:
    """The number that vLLM reads from a value, including `8k` (8000) and `8K` (8192); None if it is not a number."""
    found = HUMAN.fullmatch(value.strip())
    if found is None:
        return None
    unit = 1024 if found[2].isupper() else 1000
    return int(float(found[1]) * unit ** POWERS.index(found[2].lower()))


def means(flag: str, given: Collection[str]) -> bool:
    """Whether one of the given flags is this one or a prefix of it, which vLLM accepts too."""
    return any(len(argument) > 2 and flag.startswith(argument) for argument in given)
