"""Serves the files that pages show or offer: uploads, and the clips and pictures of events. Nothing else.

It replaces Gradio's `file=` route, which fetches URLs and trusts the type that a file's name suggests. Here only
pictures and videos are shown inline, all else is downloaded, and a file opened on its own is sandboxed.
"""

import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio.to_thread
from fastapi import FastAPI
from starlette.responses import FileResponse, PlainTextResponse, Response

SHOWN = {
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".mp4": "video/mp4",
    ".png": "image/png",
    ".webm": "video/webm",
    ".webp": "image/webp",
}
"""Media types that a browser may show, by file extension; `nosniff` keeps it from guessing others."""

SANDBOX = "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"
HEADERS = {
    "Content-Security-Policy": SANDBOX,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-cache",
}


def add_file_route(app: FastAPI, folders: Callable[[], Sequence[Path]]) -> None:
    """Serves the files below `folders()`, with ranges, at the URL that Gradio writes into its pages."""

    @app.api_route("/{language}/gradio_api/file={path:path}", methods=["GET", "HEAD"], include_in_schema=False)
    async def file(language: str, path: str) -> Response:
        found = await anyio.to_thread.run_sync(find_file, path, folders())
        if found is None:
            return PlainTextResponse("there is no such file, or it may not be shown\n", status_code=404)
        kind = SHOWN.get(found.suffix.lower())
        return FileResponse(
            found,
            headers=HEADERS,
            media_type=kind or "application/octet-stream",
            filename=found.name,
            content_disposition_type="inline" if kind else "attachment",
        )


def find_file(path: str, folders: Sequence[Path]) -> Path | None:
    """The regular file at an absolute path, links resolved; None if it is in none of the folders."""
    try:
        found = Path(path).resolve(strict=True)
        if not Path(path).is_absolute() or not stat.S_ISREG(found.stat().st_mode):
            return None
        return found if any(found.is_relative_to(folder.resolve()) for folder in folders) else None
    except (OSError, ValueError, RuntimeError):
        return None
