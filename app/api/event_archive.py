"""Pictures of an event as a zip that is sent while it is made, so that it is never whole in memory."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastapi import Response
from fastapi.responses import StreamingResponse

ZIP = {"description": "A zip", "content": {"application/zip": {}}}
EARLIEST = (1980, 1, 1, 0, 0, 0)


class _Outbox(io.RawIOBase):
    """What was written since it was last emptied; cannot seek, so that the zip needs no way back."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._written += data
        return len(data)

    def empty(self) -> bytes:
        """Returns what was written, and forgets it."""
        data = bytes(self._written)
        self._written.clear()
        return data


def send_archive(event_id: str, pictures: Sequence[Path], record: Mapping[str, Any]) -> Response:
    """The pictures as `WINDOW/NUMBER.jpg` and the record of the event as `event.json`."""
    headers = {"Content-Disposition": f'attachment; filename="{event_id}.zip"', "Cache-Control": "private, no-store"}
    return StreamingResponse(_pieces(pictures, record), media_type="application/zip", headers=headers)


def _pieces(pictures: Sequence[Path], record: Mapping[str, Any]) -> Iterator[bytes]:
    outbox = _Outbox()
    # JPEGs are not stored any smaller.
    with zipfile.ZipFile(outbox, "w", zipfile.ZIP_STORED) as archive:
        told = json.dumps(record, ensure_ascii=False, indent=2) + "\n"
        archive.writestr(zipfile.ZipInfo("event.json", EARLIEST), told)
        for path in pictures:
            with suppress(FileNotFoundError):  # retention has just deleted it
                archive.writestr(zipfile.ZipInfo(f"{path.parent.name}/{path.name}", EARLIEST), path.read_bytes())
            yield outbox.empty()
    yield outbox.empty()
