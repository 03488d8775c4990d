"""The options that say which models a dataset is built for: the name of their family, or a model's folder."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from vigil.errors import UsageError
from vigil.models import FAMILIES, ModelFamily, family_in, family_named

FamilyName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="The model family: "
        + " or ".join(f"{family.name} (sides of {family.pixel_multiple} px)" for family in FAMILIES)
        + f". Default: that of --base, else {FAMILIES[0].name}."
    ),
]
BaseModel: TypeAlias = Annotated[
    Path | None, typer.Option(help="The folder of the model to be trained, which determines the family.")
]


def chosen_family(name: str | None, base: Path | None) -> ModelFamily:
    """The named family, else that of the base, else the default; raises UsageError if the first two disagree."""
    named = family_named(name) if name else None
    held = family_in(base) if base else None
    if named is not None and held is not None and named is not held:
        raise UsageError(f"--family says {named.name}, and {base} is of {held.name}; leave one of them out")
    return named or held or FAMILIES[0]
