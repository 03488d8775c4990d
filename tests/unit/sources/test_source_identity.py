"""Which source is which, whatever it is called."""

from pathlib import Path

import pytest

from vigil.sources.address import Address, find_sources
from vigil.sources.source_identity import identity_of, named_apart


def stream(location: str) -> Address:
    return find_sources([location])[0]


def file(path: Path) -> Address:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return find_sources([str(path)])[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("rtsp://10.0.0.7/live?token=aaaa", "rtsp://10.0.0.7/live?token=bbbb"),
        ("http://10.0.0.7/passwd/s3c/1", "http://10.0.0.7/passwd/s3d/1"),
        ("rtsp://10.0.0.7/1", "rtsp://10.0.0.7/2"),
        ("rtsp://10.0.0.7/1", "rtsp://10.0.0.7:8554/1"),
        ("0", "1"),
    ],
)
def test_sources_that_are_not_the_same_have_identities_that_differ(one: str, other: str) -> None:
    assert identity_of(stream(one)) != identity_of(stream(other))


def test_a_camera_is_the_same_whoever_signs_in_to_it() -> None:
    plain = identity_of(stream("rtsp://10.0.0.7/1?a=b%40c"))
    assert plain == identity_of(stream("rtsp://admin:secret@10.0.0.7/1?a=b%40c"))
    assert plain == identity_of(stream("rtsp://admin:s3cr3t@10.0.0.7/1?a=b%40c"))


def test_an_identity_holds_nothing_of_the_address() -> None:
    identity = identity_of(stream("rtsp://10.0.0.7/live?token=deadbeef"))
    assert len(identity) == 24 and "deadbeef" not in identity and int(identity, 16) >= 0


def test_a_file_is_the_same_by_whatever_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = file(tmp_path / "a" / "clip.mp4")
    monkeypatch.chdir(tmp_path / "a")
    assert identity_of(find_sources(["clip.mp4"])[0]) == identity_of(clip)
    assert identity_of(file(tmp_path / "b" / "clip.mp4")) != identity_of(clip)


def test_a_name_that_another_source_has_had_is_not_given_again(tmp_path: Path) -> None:
    first, second, third = (file(tmp_path / name / "clip.mp4") for name in ("a", "b", "c"))
    known = {"clip.mp4": {identity_of(first)}}
    assert [each.name for each in named_apart([first], known)] == ["clip.mp4"]
    assert [each.name for each in named_apart([second], known)] == ["b/clip.mp4"]
    known["night shift"] = {identity_of(third)}
    assert [each.name for each in named_apart([third], known)] == ["night shift"], "as it was called before"
    assert [each.location for each in named_apart([second], known)] == [second.location]


def test_cameras_that_are_shown_alike_are_numbered() -> None:
    one, other = (Address("stream", "rtsp://10.0.0.7/***", f"rtsp://10.0.0.7/live?token={t}") for t in "ab")
    known = {"rtsp://10.0.0.7/***": {identity_of(one)}}
    assert [each.name for each in named_apart([other], known)] == ["rtsp://10.0.0.7/*** (2)"]
    known["rtsp://10.0.0.7/*** (2)"] = {identity_of(other)}
    assert [each.name for each in named_apart([other], known)] == ["rtsp://10.0.0.7/*** (2)"]
    assert [each.name for each in named_apart([one], known)] == ["rtsp://10.0.0.7/***"]


def test_names_stay_apart_from_each_other_too(tmp_path: Path) -> None:
    first, second = file(tmp_path / "a" / "clip.mp4"), file(tmp_path / "b" / "clip.mp4")
    third = Address("file", "b/clip.mp4", str(tmp_path / "x" / "b" / "clip.mp4"))
    names = [each.name for each in named_apart([second, third], {"clip.mp4": {identity_of(first)}})]
    assert names[1] == "b/clip.mp4" and len(set(names)) == 2 and names[0] != "clip.mp4"
