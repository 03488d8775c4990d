"""What `scripts/setup.sh` installs is the file that was locked: real pip and uv before an index on the loopback."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from package_index import Index, backend, serving_index
from waiting import HANG_S

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted(path for path in (ROOT / "requirements").glob("*.txt") if "." not in path.stem)
HASHES = r"(?P<hashes>(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)*)"
PIN = re.compile(rf"^(?P<pin>[\w.-]+==[^ ]+)(?: ; [^\\]+)?(?: \\)?\n{HASHES}")


@pytest.fixture(scope="session")
def uv() -> str:
    """The uv of this checkout, which setup.sh has installed; installed now where it has not."""
    found = subprocess.run(
        ["bash", "-c", 'cd "$1"; source scripts/uv.sh; find_uv; cd "$(dirname "$UV")"; echo "$PWD/uv"', "-", str(ROOT)],
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.strip()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with serving_index(tmp_path / "index") as served:
        yield served


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with setup.sh, and a project that a tiny backend builds."""
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    (folder / "requirements").mkdir()
    shutil.copy(ROOT / "requirements" / "uv.txt", folder / "requirements")
    for name in ("build.txt", "person.txt"):
        (folder / "requirements" / name).touch()
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["tiny-backend"]\nbuild-backend = "tiny_backend"\n'
        '[project]\nname = "vigil"\nversion = "0.1.0"\n'
    )
    return folder


def lock(checkout: Path, name: str, *pins: str) -> None:
    (checkout / "requirements" / name).write_text("".join(pins))


def setup(
    checkout: Path, index: Index, uv: str, word: str = "serve", **said: str
) -> "subprocess.CompletedProcess[str]":
    """Runs setup.sh, or lock.sh, with nothing but that index to fetch from and a cache of this checkout alone."""
    script = ["lock.sh"] if word == "lock" else ["setup.sh", word]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "VIGIL_"))}
    own = {
        "VIGIL_UV": uv,
        "VIGIL_SERVE": "cpu",
        "PIP_INDEX_URL": index.url,
        "PIP_CONFIG_FILE": os.devnull,
        "UV_CACHE_DIR": str(checkout / ".cache"),
        "UV_NO_CONFIG": "1",
    }
    return subprocess.run(
        ["bash", str(checkout / "scripts" / script[0]), *script[1:]],
        env={name: value for name, value in (kept | own | said).items() if value},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


def modules(env: Path) -> set[str]:
    return {path.stem for path in env.glob("lib/python*/site-packages/*.py")} - {"_virtualenv"}


def one_failure(done: "subprocess.CompletedProcess[str]") -> str:
    """The line that says what failed, of a run that failed once and said what to do."""
    assert done.returncode == 1, done.stderr
    failed = [line for line in done.stderr.splitlines() if line.startswith("FAILED: ")]
    assert len(failed) == 1 and done.stderr.count("what to do: ") == 1, done.stderr
    return failed[0]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_pin_has_a_hash_and_no_index_is_named(path: Path) -> None:
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE)
    pins = 0
    while text:
        found = PIN.match(text)
        assert found and found["hashes"], f"no pin with hashes: {text[:200]!r}"
        text, pins = text[found.end() :], pins + 1
    assert pins == sum("==" in line.split(";")[0] and line[0] not in " #" for line in path.read_text().splitlines()) > 0


def test_the_files_that_are_locked_are_the_ones_that_setup_installs() -> None:
    assert {path.stem for path in LOCKS} == {"build", "core", "dev", "person", "serve-cpu", "serve-gpu", "train", "uv"}


def make_lockable(checkout: Path) -> None:
    """Gives a checkout all that lock.sh reads: everything asks for one small package."""
    (checkout / "pyproject.toml").write_text(
        '[project]\nname = "vigil"\nversion = "0.1.0"\nrequires-python = ">=3.11"\ndependencies = ["tiny-thing"]\n'
        '[project.optional-dependencies]\ndev = ["tiny-thing"]\n'
    )
    asking = ("uv.in", "build.in", "person.in", "train.in", "serve-cpu.in", "serve-cpu.override.txt", "serve-gpu.in")
    for name in asking:
        (checkout / "requirements" / name).write_text("tiny-thing\n")
    (checkout / "requirements" / "person.excludes.txt").touch()


@pytest.mark.parametrize("advertises", [False, True])
def test_locking_writes_hashes_keeps_pins_and_names_no_index(
    tmp_path: Path, checkout: Path, uv: str, advertises: bool
) -> None:
    make_lockable(checkout)
    with serving_index(tmp_path / "index", advertises=advertises) as index:
        pin = index.add("tiny-thing", "1.0")
        assert setup(checkout, index, uv, "lock").returncode == 0
        locked = {path.name: (checkout / "requirements" / path.name).read_text() for path in LOCKS}
        assert all(text.endswith(f"\n{pin}") and index.url not in text for text in locked.values())
        index.add("tiny-thing", "1.1")
        assert setup(checkout, index, uv, "lock").returncode == 0
        assert (checkout / "requirements" / "dev.txt").read_text() == locked["dev.txt"]


def test_the_locked_wheel_is_installed(checkout: Path, index: Index, uv: str) -> None:
    lock(checkout, "serve-cpu.txt", index.add("tiny-thing", "1.0"))
    done = setup(checkout, index, uv)
    assert done.returncode == 0, done.stderr
    assert modules(checkout / ".venv-serve") == {"tiny_thing"}
    assert "up to date" in setup(checkout, index, uv).stderr


@pytest.mark.parametrize("advertises", [False, True])
def test_an_altered_wheel_is_refused(tmp_path: Path, checkout: Path, uv: str, advertises: bool) -> None:
    with serving_index(tmp_path / "index", advertises=advertises) as index:
        lock(checkout, "serve-cpu.txt", index.add("other-thing", "2.0"), index.add("tiny-thing", "1.0"))
        index.alter("tiny-thing")
        done = setup(checkout, index, uv)
        assert "tiny-thing==1.0 is not the file that requirements/serve-cpu.txt pins" in one_failure(done)
        assert "PIP_INDEX_URL" in done.stderr and "Computed:" in done.stderr
        assert modules(checkout / ".venv-serve") == set()
        assert setup(checkout, index, uv).returncode == 1
        index.add("tiny-thing", "1.0")
        done = setup(checkout, index, uv)
    assert done.returncode == 0, done.stderr
    assert modules(checkout / ".venv-serve") == {"other_thing", "tiny_thing"}


@pytest.mark.parametrize("switch", ["UV_NO_VERIFY_HASHES", "UV_REQUIRE_HASHES"])
def test_no_variable_turns_the_check_off(checkout: Path, index: Index, uv: str, switch: str) -> None:
    lock(checkout, "serve-cpu.txt", index.add("tiny-thing", "1.0"))
    index.alter("tiny-thing")
    done = setup(checkout, index, uv, **{switch: "0" if "REQUIRE" in switch else "1"})
    assert "tiny-thing==1.0 is not the file" in one_failure(done)


def test_a_wheel_that_an_earlier_setup_left_in_the_cache_is_checked_too(checkout: Path, index: Index, uv: str) -> None:
    locked = index.add("tiny-thing", "1.0")
    index.alter("tiny-thing")
    cache = {**os.environ, "UV_CACHE_DIR": str(checkout / ".cache"), "UV_DEFAULT_INDEX": index.url, "UV_NO_CONFIG": "1"}
    unchecked = [uv, "pip", "install", "--quiet", "--target", str(checkout / "elsewhere"), "tiny-thing==1.0"]
    subprocess.run(unchecked, env=cache, check=True)
    lock(checkout, "serve-cpu.txt", locked)
    assert "tiny-thing==1.0 is not the file" in one_failure(setup(checkout, index, uv))


def test_a_pin_without_a_hash_is_refused(checkout: Path, index: Index, uv: str) -> None:
    pin = index.add("tiny-thing", "1.0")
    lock(checkout, "serve-cpu.txt", index.add("other-thing", "2.0"), pin.splitlines()[0].rstrip("\\"), "\n")
    done = setup(checkout, index, uv)
    assert "requirements/serve-cpu.txt holds something without a SHA-256" in one_failure(done)
    assert "scripts/lock.sh" in done.stderr
    assert modules(checkout / ".venv-serve") == set()


def test_what_builds_vigil_itself_is_checked_too(checkout: Path, index: Index, uv: str) -> None:
    lock(checkout, "dev.txt", index.add("tiny-thing", "1.0"))
    lock(checkout, "build.txt", index.add("tiny-backend", "1.0", backend()))
    index.alter("tiny-backend")
    done = setup(checkout, index, uv, "core")
    assert "tiny-backend==1.0 is not the file that requirements/build.txt pins" in one_failure(done)
    index.add("tiny-backend", "1.0", backend())
    done = setup(checkout, index, uv, "core")
    assert done.returncode == 0, done.stderr


def test_a_builder_that_nobody_locked_is_refused(checkout: Path, index: Index, uv: str) -> None:
    index.add("tiny-backend", "1.0", backend())
    lock(checkout, "dev.txt", index.add("tiny-thing", "1.0"))
    done = setup(checkout, index, uv, "core")
    assert "requirements/build.txt holds something without a SHA-256" in one_failure(done)


def test_an_altered_uv_is_refused(checkout: Path, index: Index) -> None:
    lock(checkout, "uv.txt", index.add("uv", "0.13.8"))
    lock(checkout, "serve-cpu.txt", index.add("tiny-thing", "1.0"))
    index.alter("uv")
    done = setup(checkout, index, uv="")
    assert "is not the file that requirements/uv.txt pins" in one_failure(done)
    assert not (checkout / ".venv-uv" / "bin" / "uv").exists()


def test_an_environment_from_before_the_check_is_made_anew_once(checkout: Path, index: Index, uv: str) -> None:
    lock(checkout, "serve-cpu.txt", index.add("tiny-thing", "1.0"))
    assert setup(checkout, index, uv).returncode == 0
    site = next((checkout / ".venv-serve").glob("lib/python*/site-packages"))
    (site / "tiny_thing.py").unlink()  # or else it is the cache's own file that is written to
    (site / "tiny_thing.py").write_text("unchecked = True")
    (checkout / ".venv-serve" / "vigil-stamp").write_text(f"0123abcd {checkout}\n")
    again = setup(checkout, index, uv)
    assert again.returncode == 0 and "made anew, once" in again.stderr
    assert (site / "tiny_thing.py").read_text() == ""
    assert "up to date" in setup(checkout, index, uv).stderr


def test_what_an_own_torch_index_sent_first_is_what_it_must_send_from_then_on(
    tmp_path: Path, checkout: Path, index: Index, uv: str
) -> None:
    lock(checkout, "serve-cpu.txt", index.add("tiny-thing", "1.0"), index.add("torch", "2.13.0"))
    with serving_index(tmp_path / "torch-index", advertises=True) as other:
        other.add("torch", "2.13.0+cpu")
        done = setup(checkout, index, uv, VIGIL_TORCH_INDEX=other.url)
        assert done.returncode == 0, done.stderr
        assert "trusted this first time" in done.stderr
        assert modules(checkout / ".venv-serve") == {"tiny_thing", "torch"}
        kept = list((checkout / "requirements" / "local").iterdir())
        assert len(kept) == 1 and "torch==2.13.0+cpu" in kept[0].read_text() and other.url not in kept[0].read_text()
        other.alter("torch")
        shutil.rmtree(checkout / ".venv-serve")
        shutil.rmtree(checkout / ".cache")
        done = setup(checkout, index, uv, VIGIL_TORCH_INDEX=other.url)
    assert "torch==2.13.0+cpu is not the file that requirements/local/torch-" in one_failure(done)


def test_an_own_torch_index_that_tells_no_hashes_is_refused_without_a_file_of_them(
    tmp_path: Path, checkout: Path, index: Index, uv: str
) -> None:
    lock(checkout, "serve-cpu.txt", index.add("tiny-thing", "1.0"), index.add("torch", "2.13.0"))
    with serving_index(tmp_path / "torch-index") as other:
        other.add("torch", "2.13.0+cpu")
        done = setup(checkout, index, uv, VIGIL_TORCH_INDEX=other.url)
        assert "tells no SHA-256 of its files" in one_failure(done) and "VIGIL_TORCH_HASHES=FILE" in done.stderr
        assert one_failure(setup(checkout, index, uv, VIGIL_TORCH_INDEX=other.url))


def test_an_own_torch_index_is_held_to_hashes_that_are_given(
    tmp_path: Path, checkout: Path, index: Index, uv: str
) -> None:
    lock(checkout, "serve-cpu.txt", index.add("tiny-thing", "1.0"), index.add("torch", "2.13.0"))
    given = tmp_path / "given.txt"
    with serving_index(tmp_path / "torch-index") as other:
        given.write_text(other.add("torch", "2.13.0+cpu"))
        said = {"VIGIL_TORCH_INDEX": other.url, "VIGIL_TORCH_HASHES": str(given)}
        other.alter("torch")
        done = setup(checkout, index, uv, **said)
        assert f"torch==2.13.0+cpu is not the file that {given} pins" in one_failure(done)
        other.add("torch", "2.13.0+cpu")
        done = setup(checkout, index, uv, **said)
        assert done.returncode == 0 and not (checkout / "requirements" / "local").exists(), done.stderr
        given.write_text(other.add("torch", "2.12.0"))
        assert "does not say which torch==2.13.0 may be installed" in one_failure(setup(checkout, index, uv, **said))
    done = setup(checkout, index, uv, VIGIL_TORCH_HASHES="nowhere.txt")
    assert done.returncode == 2 and "VIGIL_TORCH_HASHES=nowhere.txt is no file" in done.stderr
