"""Media in a bucket that speaks the S3 protocol (Amazon S3, MinIO, Ceph, Garage ...).

    Store.open("postgresql+psycopg://vigil@db/vigil", folder=Path("cache"), media="s3://bucket/vigil")

Keys, region and the address of a server of one's own come from the environment, as with other S3 programs:
`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL` (http://... only with
`AWS_ALLOW_HTTP=true`). Needs the extra `s3`.

An object is visible once it is whole. What needs a local file gets a copy below `copies` in the store's folder; copies
that have not been asked for during an hour are deleted when the store is pruned.
"""

import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vigil.errors import StoreError, UsageError
from vigil.files import atomic_folder, atomic_path, keep_private, make_private_folder
from vigil.store.media_store import (
    FRAMES,
    KINDS,
    StoredMedia,
    WriteMedia,
    delete_partials,
    is_folder,
    list_files,
    remove_media,
)

if TYPE_CHECKING:
    from obstore.store import S3Store

SCHEME = "s3://"
ADVICE = "check that the server runs, the bucket is there, and AWS_* in the environment"

RETRY_FOR_S = 30
"""How long a request is repeated before it fails; whoever writes media tries again for minutes."""


class S3MediaStore:
    """Media in a bucket, below a prefix. Raises StoreError if `obstore` is missing, UsageError for a wrong URL."""

    def __init__(self, url: str, *, copies: Path) -> None:
        bucket, _, prefix = url.removeprefix(SCHEME).strip("/").partition("/")
        if not url.startswith(SCHEME) or not bucket:
            raise UsageError(f"{url!r} names no bucket; write s3://BUCKET or s3://BUCKET/PREFIX")
        self.name = url
        self._prefix = f"{prefix}/" if prefix else ""
        self.folder = copies
        self._bucket = _open(bucket)

    def put(self, key: str, write: WriteMedia) -> int:
        """See `MediaStore.put`; the files of a folder one after the other, so its row in the table makes it whole."""
        make_private_folder(self.folder)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".upload-") as folder:
            # With the suffix of the key, by which FFmpeg chooses the format.
            path = Path(folder) / Path(key).name
            if is_folder(key):
                path.mkdir()
            write(path)
            return sum(self._upload(file, self._key_of(key, file, path)) for file in list_files(path))

    def read(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        """See `MediaStore.read`."""
        import obstore

        size_bytes = self.size_bytes(key)
        end = size_bytes if length is None else min(size_bytes, start + length)
        if start >= end:
            return b""
        with _translated(key, self.name):
            return bytes(obstore.get_range(self._bucket, self._prefix + key, start=start, end=end))

    def size_bytes(self, key: str) -> int:
        """See `MediaStore.size_bytes`."""
        import obstore

        with _translated(key, self.name):
            return int(obstore.head(self._bucket, self._prefix + key)["size"])

    def items(self, kind: str = "") -> Iterator[StoredMedia]:
        """See `MediaStore.items`."""
        for each in [kind] if kind else KINDS:
            parts: dict[str, list[StoredMedia]] = defaultdict(list)
            for part in self._objects(f"{each}/"):
                parts[part.key.rpartition("/")[0] if is_folder(part.key) else part.key].append(part)
            for key, files in parts.items():
                size_bytes = sum(file.size_bytes for file in files)
                yield StoredMedia(key=key, size_bytes=size_bytes, modified_s=max(f.modified_s for f in files))

    def delete(self, key: str) -> None:
        """See `MediaStore.delete`."""
        import obstore

        with _translated(key, self.name):
            gone = [self._prefix + part.key for part in self._objects(f"{key}/")] if is_folder(key) else []
            obstore.delete(self._bucket, gone or self._prefix + key)
        remove_media(self.folder / key)

    def local(self, key: str) -> Path:
        """See `MediaStore.local`: a copy below the store's folder, downloaded unless it is there."""
        path = self.folder / key
        if path.exists():
            os.utime(path)
            return path
        for folder in reversed(path.parents[:3]):
            make_private_folder(folder)
        if not is_folder(key):
            with atomic_path(path, keep_suffix=True) as partial:
                self._download(key, partial)
            return path
        parts = [part.key for part in self._objects(f"{key}/")]
        if not parts:
            raise FileNotFoundError(f"{self.name} has no {key}")
        with atomic_folder(path) as partial:
            for part in parts:
                self._download(part, partial / Path(part).name)
        return path

    def clean(self, *, before_s: float) -> list[str]:
        """See `MediaStore.clean`."""
        for kind in KINDS:
            for path in (self.folder / kind).glob("*/*" if kind == FRAMES else "*"):
                if path.stat().st_mtime < before_s:
                    remove_media(path)
        return delete_partials(self.folder, before_s=before_s)

    def _key_of(self, key: str, file: Path, root: Path) -> str:
        return key if file == root else f"{key}/{file.relative_to(root).as_posix()}"

    def _upload(self, file: Path, key: str) -> int:
        import obstore
        from obstore.exceptions import BaseError

        with file.open("rb") as content:
            try:
                obstore.put(self._bucket, self._prefix + key, content)
            except (BaseError, FileNotFoundError) as error:
                # Also where the bucket is missing, which is no missing file.
                raise _failed(self.name, key, error) from error
        return file.stat().st_size

    def _download(self, key: str, path: Path) -> None:
        import obstore

        with _translated(key, self.name), path.open("wb") as out:
            for chunk in obstore.get(self._bucket, self._prefix + key):
                out.write(chunk)
        keep_private(path)

    def _objects(self, below: str) -> Iterator[StoredMedia]:
        import obstore

        with _translated(below, self.name):
            for page in obstore.list(self._bucket, prefix=(self._prefix + below).rstrip("/")):
                for meta in page:
                    modified = meta["last_modified"].timestamp()
                    key = str(meta["path"]).removeprefix(self._prefix)
                    yield StoredMedia(key=key, size_bytes=int(meta["size"]), modified_s=modified)


def _open(bucket: str) -> "S3Store":
    from datetime import timedelta

    try:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store
    except ImportError as error:
        raise StoreError(f"media in s3://{bucket} need a missing package; install Vigil's extra `s3`") from error
    try:
        return S3Store(bucket, retry_config={"retry_timeout": timedelta(seconds=RETRY_FOR_S)})
    except BaseError as error:
        raise StoreError(f"s3://{bucket} cannot be used: {_first_line(error)}; {ADVICE}") from error


@contextmanager
def _translated(key: str, where: str) -> Iterator[None]:
    from obstore.exceptions import BaseError, NotFoundError

    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise FileNotFoundError(f"{where} has no {key}") from error
    except BaseError as error:
        raise _failed(where, key, error) from error


def _failed(where: str, key: str, error: BaseException) -> StoreError:
    return StoreError(f"{where}: {key} failed: {_first_line(error)}; {ADVICE}")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
