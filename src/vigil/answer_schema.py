"""Answers in JSON: the form that a server is told to hold them to, and how they are read.

    schema = AnswerSchema(name="scene", fields=SceneFields, schema={"type": "object", ...})
    reading = schema.read(answer.text)
    reading.fields or reading.problem

A server holds an answer to the form (`response_format`), but it may be another server that ignores it, or the answer
may reach its longest length first. So what arrives is checked again, and what does not fit stays what it is: words.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, TypeVar

from vigil.config import from_mapping
from vigil.errors import ConfigError

Fields = TypeVar("Fields")

MOST_PROBLEM_CHARACTERS = 200

FENCES = ("```json", "```")
"""Servers that ignore the form often get JSON between these."""


@dataclass(frozen=True, slots=True)
class JsonReading(Generic[Fields]):
    """What an answer in JSON says: its fields, or the reason why it is not of the form that was asked for."""

    fields: Fields | None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSchema(Generic[Fields]):
    """A form of answers: a JSON schema for the server, and a dataclass with the same keys to read them into.

    Lists and texts in the schema should have a maximum length: without one a model may write until it is cut off.
    """

    name: str
    fields: type[Fields]
    schema: Mapping[str, Any] = field(hash=False)

    def response_format(self) -> dict[str, Any]:
        """The field of a chat completion request that holds its answer to the form."""
        held = {"name": self.name, "schema": self.schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": held}}

    def read(self, text: str) -> JsonReading[Fields]:
        """Reads an answer; what is not JSON of this form has a problem instead of fields."""
        try:
            data = json.loads(_without_fences(text), parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            return JsonReading(None, _not_json(text))
        if not isinstance(data, dict):
            return JsonReading(None, "the JSON is no object")
        try:
            return JsonReading(from_mapping(self.fields, _storable(data), where=self.name))
        except ConfigError as error:
            return JsonReading(None, "; ".join(error.problems)[:MOST_PROBLEM_CHARACTERS])


def plain_fields(fields: Any) -> dict[str, Any]:
    """The fields of an answer as plain data."""
    return asdict(fields)


def storable_text(text: str) -> str:
    """The text without what neither files nor databases take: halves of characters, and zeros."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, dict):
        return {storable_text(key): _storable(each) for key, each in value.items()}
    return [_storable(each) for each in value] if isinstance(value, list) else value


def _without_fences(text: str) -> str:
    plain = text.strip()
    for fence in FENCES:
        plain = plain.removeprefix(fence).removesuffix(fence)
    return plain


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _not_json(text: str) -> str:
    plain = text.strip()
    if not plain.startswith(("{", "`")):
        return "the answer is words, no JSON"
    return "the JSON breaks off" if not plain.endswith(("}", "`")) else "the answer is no valid JSON"
