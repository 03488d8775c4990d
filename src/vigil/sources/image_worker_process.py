"""The process that decodes untrusted files for `image_worker`: `python -m vigil.sources.image_worker_process`.

Each request is one line of JSON on stdin; the response is one line of JSON and, for a picture, its bytes. Memory and
CPU time are limited, and it cannot write files. It ends when stdin is closed. The parent chooses all paths.
"""

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vigil.errors import SourceError
from vigil.frames import RGB
from vigil.sources.images import read_image
from vigil.sources.media_content import inspect_content

MEMORY_BYTES = 640 * 1024**2
"""Memory for one decoding, beside the program itself (65 MB). At 25 megapixels, 16-bit grey takes 135 MB, a
progressive CMYK JPEG 290 MB, a WebP with an alpha channel 390 MB (docs/web.md)."""

CPU_S = 20
OPEN_FILES = 32


def main() -> None:
    """Serves requests until stdin is closed."""
    responses = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # The output of libraries must not corrupt the responses.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _limit()
    for line in sys.stdin.buffer:
        _allow_cpu()
        _respond(responses, *_process(json.loads(line)))


def _process(request: dict[str, Any]) -> tuple[dict[str, Any], RGB | None]:
    path = Path(request["path"])
    try:
        if request["do"] == "inspect":
            content = inspect_content(path)
            return {"kind": content.kind, "format": content.format, "codec": content.codec}, None
        limits = {name: request[name] for name in ("max_pixels", "pixel_multiple", "most_pixels")}
        image = read_image(path, **limits)
    except SourceError as error:
        return {"error": str(error)}, None
    except MemoryError:
        return {"error": f"{path} needs more memory than a picture or video may take; make it smaller"}, None
    return {"shape": image.shape}, image


def _respond(responses: BinaryIO, head: dict[str, Any], image: RGB | None) -> None:
    responses.write(json.dumps(head).encode() + b"\n")
    if image is not None:
        responses.write(np.ascontiguousarray(image).data)
    responses.flush()


def _limit() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    size_bytes = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (size_bytes, size_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))


def _allow_cpu() -> None:
    """Allows `CPU_S` more seconds of CPU time; the kernel kills the process if it uses more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    allowed = int(used.ru_utime + used.ru_stime) + CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (allowed if most == resource.RLIM_INFINITY else min(allowed, most), most))


if __name__ == "__main__":
    main()
