"""An answer that is JSON, laid out so that people can read it; any other answer stays as the model gave it."""

import json
import re
from typing import Any

FENCE = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL | re.IGNORECASE)


def pretty_json(answer: str) -> str:
    """The JSON of an answer with each value on a line of its own, without the fence around it."""
    fenced = FENCE.fullmatch(answer)
    try:
        told = json.loads(fenced[1] if fenced else answer, object_pairs_hook=_distinct)
    except (ValueError, RecursionError):
        return answer
    return json.dumps(told, ensure_ascii=False, indent=2) if isinstance(told, dict | list) and told else answer


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs as a dictionary; raises ValueError where one would be lost."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)
