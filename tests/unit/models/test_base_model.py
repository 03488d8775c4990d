"""Which model a base is: its digests, what its download recorded, and a file that is no longer what came."""

import hashlib
import os
from pathlib import Path

import pytest

from model_folder import WEIGHTS
from vigil.download.record import DownloadRecord, record_of
from vigil.errors import EnvironmentMissing, ManifestError
from vigil.manifest import Base
from vigil.models.base_model import base_digest, describe_base, recorded_sha256

CONFIG = b"{}"


def make_base(folder: Path, weights: bytes = WEIGHTS) -> Path:
    folder.mkdir()
    (folder / "config.json").write_bytes(CONFIG)
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def keep_record(folder: Path, *, commit: str = "c0ffee") -> DownloadRecord:
    record = record_of(folder, model="Owner/tiny", source="huggingface", revision="main", commit=commit, utc="2026")
    record.write(folder)
    return record


def expected_sha256(weights: bytes) -> str:
    digests = ((hashlib.sha256(CONFIG), "config.json"), (hashlib.sha256(weights), "model.safetensors"))
    return hashlib.sha256("".join(f"{d.hexdigest()}  {name}\n" for d, name in digests).encode()).hexdigest()


def test_a_base_that_was_copied_here_has_a_name_and_a_digest(tmp_path: Path) -> None:
    folder = make_base(tmp_path / "tiny")
    assert describe_base(folder) == Base(name="tiny", sha256=expected_sha256(WEIGHTS))
    assert recorded_sha256(folder) is None


@pytest.mark.parametrize(("commit", "revision"), [("c0ffee", "c0ffee"), ("", "main")])
def test_a_base_that_was_fetched_has_its_revision_too(tmp_path: Path, commit: str, revision: str) -> None:
    folder = make_base(tmp_path / "tiny")
    keep_record(folder, commit=commit)
    base = describe_base(folder)
    assert (base.name, base.source, base.revision) == ("Owner/tiny", "huggingface", revision)
    assert base.sha256 == recorded_sha256(folder) == expected_sha256(WEIGHTS)


def test_what_is_recorded_and_untouched_is_not_read_again(tmp_path: Path) -> None:
    folder = make_base(tmp_path / "tiny")
    keep_record(folder)
    kept = (folder / "model.safetensors").stat()
    other = WEIGHTS[:-1] + b"\x01"
    (folder / "model.safetensors").write_bytes(other)
    os.utime(folder / "model.safetensors", ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert describe_base(folder).sha256 == expected_sha256(WEIGHTS)  # it looks the same: only --verify reads it
    os.utime(folder / "model.safetensors")
    assert recorded_sha256(folder) is None
    with pytest.raises(EnvironmentMissing, match=r"not what was fetched: model\.safetensors has changed"):
        describe_base(folder)


def test_a_fetched_base_that_was_copied_is_read_and_found_the_same(tmp_path: Path) -> None:
    folder = make_base(tmp_path / "tiny")
    keep_record(folder)
    os.utime(folder / "model.safetensors")
    assert describe_base(folder).sha256 == expected_sha256(WEIGHTS)


def test_weights_that_did_not_come_with_a_fetched_base_are_refused(tmp_path: Path) -> None:
    folder = make_base(tmp_path / "tiny")
    keep_record(folder)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "other.safetensors"}}')
    (folder / "other.safetensors").write_bytes(WEIGHTS)
    with pytest.raises(EnvironmentMissing, match=r"other\.safetensors has changed"):
        describe_base(folder)


def test_a_damaged_record_is_an_error_not_a_base_without_one(tmp_path: Path) -> None:
    folder = make_base(tmp_path / "tiny")
    (folder / "vigil-download.json").write_text("{")
    with pytest.raises(ManifestError, match=r"vigil-download\.json cannot be read"):
        describe_base(folder)


def test_the_quick_digest_reads_the_ends_and_the_whole_one_the_middle(tmp_path: Path) -> None:
    weights = bytearray(3 << 20)
    one, same_ends = make_base(tmp_path / "one", bytes(weights)), tmp_path / "two"
    weights[len(weights) // 2] = 1
    make_base(same_ends, bytes(weights))
    assert base_digest(one) == base_digest(same_ends)
    assert describe_base(one).sha256 != describe_base(same_ends).sha256
