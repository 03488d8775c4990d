"""The options that several commands share, each declared once: its name, metavar and help text.

`X | None` options default to a value that the command finds elsewhere (a settings file, the model's contract); their
help says where. Options of one command are declared beside it, those of datasets in `dataset_options`.
"""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

ENDPOINT = "Endpoint and model"
EVENTS = "Which events"
OUTPUT = "Output"

URL = typer.Option(
    metavar="URL", envvar="VIGIL_URL", rich_help_panel=ENDPOINT, help="OpenAI-compatible endpoint of the model."
)
MODEL = typer.Option(
    metavar="NAME", rich_help_panel=ENDPOINT, help="Name of the served model; needed only if there are several."
)

UrlOption: TypeAlias = Annotated[str, URL]
ModelOption: TypeAlias = Annotated[str, MODEL]
UrlOverride: TypeAlias = Annotated[str | None, URL]
ModelOverride: TypeAlias = Annotated[str | None, MODEL]
KeyFileOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=ENDPOINT,
        help="File with the API key. Default: $VIGIL_API_KEY or $VLLM_API_KEY; for a server on this machine also "
        ".vigil/key.",
    ),
]
CaFileOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=ENDPOINT,
        help="PEM file of a certificate authority to trust for https, in addition to the system's (or $SSL_CERT_FILE).",
    ),
]
TaskOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="TASK",
        rich_help_panel=ENDPOINT,
        help="Task: a name in configs/tasks or a YAML file. Default: that of the model or dataset, else the server's, "
        "else fight.",
    ),
]
ModelDirOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        rich_help_panel=ENDPOINT,
        help="Folder of the model, whose vigil.json holds its task, frame sampling and calibration. Default: what the "
        "server declares, uncalibrated.",
    ),
]
MaxPixelsOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="PIXELS",
        min=4096,
        rich_help_panel=ENDPOINT,
        help="Maximum area of a frame in pixels, for video. Default: as the model was trained, else 131072.",
    ),
]
JsonOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", rich_help_panel=OUTPUT, help="Also write all figures to this JSON file."),
]
StoreOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--store", metavar="STORE", envvar="VIGIL_STORE", help="Event store: path of an SQLite file, or a database URL."
    ),
]
MediaFolderOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder of the store's pictures and clips. Default: the folder of the SQLite file; required for others.",
    ),
]
