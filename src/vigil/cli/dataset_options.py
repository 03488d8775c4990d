"""The options of `vigil dataset build` and `import`: model family, windows, labels and splits."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from vigil.dataset.frame_files import ShortClipPolicy
from vigil.errors import UsageError
from vigil.frames import FrameSampling
from vigil.models import FAMILIES, ModelFamily, family_in, family_named
from vigil.sources.video_file import ReaderName

WINDOWS = "Windows"
ANSWERS = "Labels and answers"
SPLITS = "Splits"

DEFAULT = FrameSampling()

DatasetOut: TypeAlias = Annotated[
    Path, typer.Option(metavar="FOLDER", help="Folder of the dataset. Running again updates it.")
]
DatasetTask: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="TASK",
        help="Task: a name in configs/tasks or a YAML file. It holds the question, the two answers and the names of "
        "the class folders.",
    ),
]
FamilyOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Model family to build for: "
        + " or ".join(f"{family.name} (frame sides are multiples of {family.pixel_multiple} px)" for family in FAMILIES)
        + f". Default: the family of --base, else {FAMILIES[0].name}.",
    ),
]
BaseOption: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Folder of the base model to train, which determines --family.")
]
JobsOption: TypeAlias = Annotated[int, typer.Option(metavar="N", help="Worker processes; 0 starts one per CPU core.")]
LimitOption: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", help="Use at most N clips, half of each label. Default: all.")
]
StrictOption: TypeAlias = Annotated[
    bool, typer.Option(help="Stop at the first unreadable clip. Default: leave it out and report it.")
]
FpsOption: TypeAlias = Annotated[
    float, typer.Option(metavar="FPS", rich_help_panel=WINDOWS, help="Frames sampled per second of video.")
]
FramesOption: TypeAlias = Annotated[
    int, typer.Option(metavar="N", rich_help_panel=WINDOWS, help="Frames per window; an even number.")
]
OverlapOption: TypeAlias = Annotated[
    float,
    typer.Option(
        metavar="SHARE", rich_help_panel=WINDOWS, help="Share of a window that the next one repeats, from 0 to below 1."
    ),
]
DatasetMaxPixels: TypeAlias = Annotated[
    int,
    typer.Option(
        metavar="PIXELS",
        rich_help_panel=WINDOWS,
        help="Maximum area of a frame in pixels; larger ones are scaled down.",
    ),
]
JpegQualityOption: TypeAlias = Annotated[
    int, typer.Option(metavar="QUALITY", rich_help_panel=WINDOWS, help="JPEG quality of stored frames, from 1 to 100.")
]
ShortOption: TypeAlias = Annotated[
    ShortClipPolicy,
    typer.Option(
        rich_help_panel=WINDOWS,
        help="How training uses clips shorter than a window. as-is: as one short window; crop: also a short window "
        "from every full one; stretch: also a full window of more closely spaced frames; both: crop and stretch.",
    ),
]
ReaderOption: TypeAlias = Annotated[
    ReaderName, typer.Option(rich_help_panel=WINDOWS, help="Library that decodes the videos.")
]
LabelOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=LABEL",
        rich_help_panel=ANSWERS,
        help="Label of a class folder that the task does not list: alarm, normal, or skip to leave it out. "
        "May be repeated.",
    ),
]
TestShareOption: TypeAlias = Annotated[
    float, typer.Option(metavar="SHARE", rich_help_panel=SPLITS, help="Share of the clips kept for the test split.")
]
CalibrationShareOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        rich_help_panel=SPLITS,
        help="Share of the remaining clips kept for `vigil calibrate`; 0 keeps none. Default: 0.1, but at least 24 "
        "clips; none if the clips are too few.",
    ),
]
ValShareOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        rich_help_panel=SPLITS,
        help="Share of what then remains, used to choose the best epoch; 0 keeps none. Default: 0.15; none if the "
        "clips are too few.",
    ),
]
SeedOption: TypeAlias = Annotated[
    int, typer.Option(metavar="N", rich_help_panel=SPLITS, help="Seed of the split; another seed, another split.")
]


def chosen_family(name: str | None, base: Path | None) -> ModelFamily:
    """The named family, else that of the base, else the default; raises UsageError if the first two disagree."""
    named = family_named(name) if name else None
    base_family = family_in(base) if base else None
    if named is not None and base_family is not None and named is not base_family:
        raise UsageError(f"--family says {named.name}, and {base} is of {base_family.name}; leave one of them out")
    return named or base_family or FAMILIES[0]
