"""Media in a folder and in a bucket: the same acts, tried on the disk and on a real server of the S3 protocol."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from incidents import make_event
from s3_server import BUCKET, objects, running_s3
from vigil.errors import SourceError, StoreError, UsageError
from vigil.events import new_id
from vigil.store import PruneReport, RetentionSettings, Store, prune
from vigil.store.media_store import FolderMediaStore, MediaStore
from vigil.store.retention import PARTIAL_S
from vigil.store.s3_media import S3MediaStore

CLIP = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    with running_s3(tmp_path_factory.mktemp("s3") / "log") as environment:
        yield environment


@pytest.fixture
def bucket(s3: Mapping[str, str], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place in the bucket that no other test has, and the environment that leads there."""
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{new_id()}"


@pytest.fixture(params=["folder", "s3"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> MediaStore:
    if request.param == "folder":
        return FolderMediaStore(tmp_path)
    return S3MediaStore(request.getfixturevalue("bucket"), copies=tmp_path / "copies")


def write_frames(folder: Path) -> None:
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(bytes([number]) * 10)


def test_what_was_put_is_read_listed_copied_and_deleted(files: MediaStore) -> None:
    assert (
        files.put("clips/e1.mp4", lambda path: path.write_bytes(CLIP)) == len(CLIP) == files.size_bytes("clips/e1.mp4")
    )
    assert files.put("frames/e1/000007", write_frames) == 30
    assert files.put("snapshots/e1.jpg", lambda path: path.write_bytes(b"jpeg")) == 4
    assert files.read("clips/e1.mp4") == CLIP and files.read("clips/e1.mp4", start=len(CLIP)) == b""
    assert files.read("clips/e1.mp4", start=250, length=10) == CLIP[250:260]
    assert files.read("clips/e1.mp4", start=len(CLIP) - 3, length=10) == CLIP[-3:]
    assert files.local("clips/e1.mp4").read_bytes() == CLIP and files.local("clips/e1.mp4").suffix == ".mp4"
    frames = files.local("frames/e1/000007")
    assert [path.read_bytes()[:1] for path in sorted(frames.iterdir())] == [b"\0", b"\1", b"\2"]
    found = {item.key: item.size_bytes for item in files.items()}
    assert found == {"clips/e1.mp4": len(CLIP), "frames/e1/000007": 30, "snapshots/e1.jpg": 4}
    assert [item.key for item in files.items("frames")] == ["frames/e1/000007"]
    for key in (*found, "clips/never.mp4"):
        files.delete(key)
    assert list(files.items()) == []
    for key in found:
        with pytest.raises(FileNotFoundError):
            files.local(key)


def test_what_was_put_again_is_the_new_one_and_what_fails_changes_nothing(files: MediaStore) -> None:
    files.put("snapshots/e1.jpg", lambda path: path.write_bytes(b"first"))
    files.put("snapshots/e1.jpg", lambda path: path.write_bytes(b"second"))
    assert files.read("snapshots/e1.jpg") == b"second"

    def break_off(path: Path) -> None:
        path.write_bytes(b"half")
        raise SourceError("the stream is gone")

    for key in ("snapshots/e1.jpg", "clips/e2.mp4"):
        with pytest.raises(SourceError):
            files.put(key, break_off)
    with pytest.raises(FileNotFoundError):
        files.put("clips/e3.mp4", lambda path: None)
    assert files.read("snapshots/e1.jpg") == b"second"
    assert [item.key for item in files.items()] == ["snapshots/e1.jpg"]


def test_a_name_that_begins_like_another_is_another(files: MediaStore) -> None:
    for key in ("frames/e1/000001", "frames/e1/0000010", "frames/e11/000001"):
        files.put(key, write_frames)
    files.delete("frames/e1/000001")
    assert [item.key for item in files.items()] == ["frames/e1/0000010", "frames/e11/000001"]


def test_a_store_keeps_its_media_in_the_bucket_and_finds_them_there_again(tmp_path: Path, bucket: str) -> None:
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    before = objects(endpoint)
    path, folder = tmp_path / "events.db", tmp_path / "copies"
    with Store.open(path, folder=folder, media=bucket) as store:
        for name in ("old", "kept"):
            store.events.save(make_event(id=name, epoch_s=1000.0, end_s=5.0))
            store.media.keep(name, "clips", ".mp4", lambda out: out.write_bytes(CLIP))
            store.media.keep_frames(name, 3, [b"one", b"two"])
        store.marks.add("kept", "true", who="lena")
    assert len(objects(endpoint) - before) == 6 and list(folder.rglob("*.*")) == []
    with Store.open(path, folder=folder) as store:
        clip, frames = store.media.of_event("old")
        assert clip.place == f"{bucket}/clips/old.mp4" and not clip.path.exists()
        assert store.media.read(clip, start=256, length=4) == bytes([0, 1, 2, 3])
        assert store.media.local(clip) == clip.path and clip.path.read_bytes() == CLIP
        assert sorted(each.name for each in store.media.local(frames).iterdir()) == ["0.jpg", "1.jpg"]
        assert prune(store, RetentionSettings(media_days=1)) == PruneReport(files=2, freed_bytes=len(CLIP) + 6)
        assert not clip.path.exists() and len(objects(endpoint) - before) == 3
        with pytest.raises(StoreError, match=r"reading clips/old\.mp4 failed"):
            store.media.local(clip)
    with pytest.raises(UsageError, match="would not be found in s3://other"):
        Store.open(path, folder=folder, media="s3://other")


def test_objects_without_a_row_are_noted_or_deleted_and_old_copies_go(tmp_path: Path, bucket: str) -> None:
    gone = new_id()
    with Store.open(tmp_path / "events.db", media=bucket) as store:
        store.events.save(make_event(id="e1", epoch_s=1000.0, end_s=5.0))
        for event in ("e1", gone, "holiday"):
            store.media.files.put(f"clips/{event}.mp4", lambda path: path.write_bytes(b"clip"))
        copy = store.media.files.local("clips/holiday.mp4")
        prune(store, RetentionSettings(media_days=None))
        assert {item.key for item in store.media.files.items()} == {f"clips/{e}.mp4" for e in ("e1", gone, "holiday")}
        assert copy.exists() and [file.key for file in store.media.of_event("e1")] == ["clips/e1.mp4"]
        os.utime(copy, (1000.0, 1000.0))
        (tmp_path / "clips").mkdir()
        theirs = tmp_path / "clips" / "holiday.mp4"
        theirs.write_bytes(b"of a person")
        os.utime(theirs, (1000.0, 1000.0))
        later_s = max(item.modified_s for item in store.media.files.items()) + PARTIAL_S + 1
        prune(store, RetentionSettings(media_days=None), clock=lambda: later_s)
        assert {item.key for item in store.media.files.items()} == {"clips/e1.mp4", "clips/holiday.mp4"}
        assert not copy.exists() and theirs.exists()


def test_a_server_that_refuses_is_told_with_what_to_do(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(tmp_path / "events.db", media="s3://no-such-bucket") as store:
        store.events.save(make_event(id="e1"))
        with pytest.raises(StoreError, match="check that the server runs, the bucket is there, and AWS_") as told:
            store.media.keep("e1", "clips", ".mp4", lambda path: path.write_bytes(b"clip"))
        assert "\n" not in str(told.value) and store.media.of_event("e1") == []


@pytest.mark.parametrize("wrong", ["s3://", "https://bucket/x", "bucket"])
def test_a_place_that_is_no_bucket_is_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(UsageError, match="names no bucket"):
        Store.open(tmp_path / "events.db", media=wrong)
