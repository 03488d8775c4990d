"""`vigil download`: fetches a base model from a hub at a revision, and records its digests."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from vigil.download import WantedFile, fetch_model, read_record
from vigil.download.fetch import check_unchanged
from vigil.download.hubs import HUBS, SHORT_NAMES
from vigil.errors import JobError, UsageError

log = logging.getLogger(__name__)

DEFAULT_MODEL = "Qwen/Qwen3-VL-2B-Instruct"


def download(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model on the hub, as OWNER/NAME.")] = DEFAULT_MODEL,
    source: Annotated[
        str, typer.Option("--from", metavar="HUB", help="Hub: modelscope or huggingface (short: hf).")
    ] = "modelscope",
    revision: Annotated[
        str,
        typer.Option(
            metavar="REVISION", help="Branch, tag or commit. Default: the newest. Only a commit never changes."
        ),
    ] = "",
    folder: Annotated[
        Path | None, typer.Option("--to", metavar="FOLDER", help="Folder to download to. Default: models/NAME.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Download nothing; check that the files have not changed since.")
    ] = False,
) -> None:
    """Download a base model and record its origin and the SHA-256 of each file in vigil-download.json.

    A repeated run resumes an interrupted one; a folder whose files were changed is refused. Set HF_ENDPOINT or
    MODELSCOPE_ENDPOINT to use a mirror.

    Example: vigil download Qwen/Qwen3-VL-2B-Instruct --from hf --revision main
    """
    source = SHORT_NAMES.get(source, source)
    if source not in HUBS:
        raise UsageError(f"--from takes modelscope or huggingface (hf), not {source!r}")
    owner, slash, name = model.partition("/")
    if not (owner and slash and name) or "/" in name or name in (".", ".."):
        raise UsageError(f"a model is named OWNER/NAME, like {DEFAULT_MODEL}, not {model!r}")
    place = folder or Path("models") / name
    if verify:
        _verify(place)
    else:
        _fetch(WantedFile(model=model, source=source, revision=revision, folder=place))
    typer.echo(place)


def _verify(folder: Path) -> None:
    record = read_record(folder)
    if record is None:
        raise UsageError(f"{folder} has no record of a download; the command without --verify fetches and records it")
    check_unchanged(record, folder)
    log.info("%s is unchanged since its download from %s: %d files", folder, record.source, len(record.files))


def _fetch(wanted: WantedFile) -> None:
    try:
        fetch_model(wanted)
    except KeyboardInterrupt as interrupt:
        raise JobError("stopped; the same command resumes where it was") from interrupt
