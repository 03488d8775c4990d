"""The base of all requests: a field that there is not is refused, and the nearest one that there is is named."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from vigil.config import unknown_key


class Form(BaseModel):
    """A request: unknown fields are refused, since they are most likely misspelt."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _tell_nearest_fields(cls, data: Any) -> Any:
        strange = [str(key) for key in data if key not in cls.model_fields] if isinstance(data, Mapping) else []
        if strange:
            raise ValidationError.from_exception_data(cls.__name__, [cls._unknown(key) for key in strange])
        return data

    @classmethod
    def _unknown(cls, key: str) -> InitErrorDetails:
        told = PydanticCustomError("extra_forbidden", "{told}", {"told": unknown_key(key, cls.model_fields)})
        return InitErrorDetails(type=told, loc=(key,), input=None)
