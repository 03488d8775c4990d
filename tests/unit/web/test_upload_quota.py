from pathlib import Path

import pytest
from app.web.upload_quota import FEWEST_BYTES, MB, OverQuota, UploadLimits, UploadQuota

from vigil.errors import UsageError

LIMITS = UploadLimits(
    file_bytes=4 * MB, visitor_bytes=10 * MB, total_bytes=16 * MB, free_bytes=0, at_once=4, visitor_at_once=2
)


def quota(folder: Path, limits: UploadLimits = LIMITS, *, now_s: list[float] | None = None) -> UploadQuota:
    clock = [0.0] if now_s is None else now_s
    return UploadQuota(folder, limits, keep_s=60, clock=lambda: clock[0])


def send(to: UploadQuota, visitor: str, name: str, size_bytes: int) -> Path:
    """An upload from its beginning to its end."""
    booking = to.book(visitor, size_bytes, to.measure())
    path = to.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * size_bytes)
    booking.came_bytes = size_bytes
    to.keep(booking, [path])
    return path


def refused(to: UploadQuota, visitor: str, size_bytes: int) -> str:
    with pytest.raises(OverQuota) as over:
        to.book(visitor, size_bytes, to.measure())
    return over.value.reason


def test_a_visitor_has_room_again_when_a_file_is_gone(tmp_path: Path) -> None:
    to = quota(tmp_path)
    first = send(to, "ada", "a/1", 4 * MB)
    send(to, "ada", "a/2", 4 * MB)
    assert refused(to, "ada", 3 * MB) == "visitor"
    to.keep(to.book("bob", 3 * MB, to.measure()), [])
    first.unlink()
    send(to, "ada", "a/3", 3 * MB)


def test_all_visitors_together_have_a_limit(tmp_path: Path) -> None:
    to = quota(tmp_path)
    for number in range(4):
        send(to, f"visitor {number}", str(number), 3 * MB)
    assert refused(to, "another", 5 * MB) == "all"


def test_what_pages_make_of_a_file_counts_in_all_and_a_link_to_it_does_not(tmp_path: Path) -> None:
    to = quota(tmp_path)
    sent = send(to, "ada", "a", 4 * MB)
    (tmp_path / "link").hardlink_to(sent)
    assert to.measure().total_bytes == 4 * MB
    (tmp_path / "copy").write_bytes(b"x" * 9 * MB)
    assert refused(to, "bob", 4 * MB) == "all"


def test_uploads_that_run_hold_their_room(tmp_path: Path) -> None:
    to = quota(tmp_path)
    first = to.book("ada", 6 * MB, to.measure())
    assert refused(to, "ada", 6 * MB) == "visitor"
    assert refused(to, "bob", 11 * MB) == "visitor"
    to.book("bob", 8 * MB, to.measure())
    assert refused(to, "eve", 4 * MB) == "all"
    to.keep(first, [])
    to.book("eve", 4 * MB, to.measure())


def test_a_running_upload_is_not_counted_twice_for_what_it_has_written(tmp_path: Path) -> None:
    to = quota(tmp_path)
    running = to.book("ada", 8 * MB, to.measure())
    (tmp_path / "part").write_bytes(b"x" * 6 * MB)
    running.came_bytes = 6 * MB
    to.book("bob", 8 * MB, to.measure())


def test_so_many_uploads_run_at_once(tmp_path: Path) -> None:
    to = quota(tmp_path)
    for visitor in ("ada", "ada", "bob", "bob"):
        if visitor == "bob":
            assert refused(to, "ada", 1) == "busy"
        to.book(visitor, 1, to.measure())
    assert refused(to, "eve", 1) == "busy"


def test_many_small_files_fill_a_quota_too(tmp_path: Path) -> None:
    to = quota(tmp_path)
    for number in range(LIMITS.visitor_bytes // FEWEST_BYTES):
        send(to, "ada", str(number), 1)
    assert refused(to, "ada", 1) == "visitor"


def test_what_broke_off_counts_until_it_is_swept(tmp_path: Path) -> None:
    now_s = [0.0]
    to = quota(tmp_path, now_s=now_s)
    broken = to.book("ada", 9 * MB, to.measure())
    broken.came_bytes = 8 * MB
    to.keep(broken, [], is_broken=True)
    assert refused(to, "ada", 4 * MB) == "visitor"
    now_s[0] = 61.0
    to.book("ada", 4 * MB, to.measure())


def test_a_file_elsewhere_is_nobodys(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"x" * 9 * MB)
    (tmp_path / "uploads").mkdir()
    to = quota(tmp_path / "uploads")
    to.keep(to.book("ada", 1, to.measure()), [elsewhere, tmp_path / "uploads" / ".." / "elsewhere"])
    to.book("ada", 9 * MB, to.measure())


def test_the_disk_keeps_room_for_others(tmp_path: Path) -> None:
    free_bytes = quota(tmp_path).measure().free_bytes
    limits = UploadLimits(
        file_bytes=free_bytes, visitor_bytes=2 * free_bytes, total_bytes=2 * free_bytes, free_bytes=free_bytes // 2
    )
    assert refused(quota(tmp_path, limits), "ada", free_bytes) == "disk"


def test_limits_that_are_not_said_leave_room_for_the_largest_file() -> None:
    usual = UploadLimits.of_mb(upload=500, visitor=None, total=None, free=500)
    assert usual == UploadLimits()
    large = UploadLimits.of_mb(upload=5000, visitor=None, total=None, free=0)
    assert (large.visitor_bytes, large.total_bytes) == (20_000 * MB, 100_000 * MB)


@pytest.mark.parametrize(("visitor", "total"), [(499, None), (600, 599)])
def test_limits_without_room_for_one_file_are_refused(visitor: int, total: int | None) -> None:
    with pytest.raises(UsageError, match="none may be below the one before it"):
        UploadLimits.of_mb(upload=500, visitor=visitor, total=total, free=500)
    with pytest.raises(UsageError, match="--keep-free-mb -1"):
        UploadLimits.of_mb(upload=500, visitor=None, total=None, free=-1)
