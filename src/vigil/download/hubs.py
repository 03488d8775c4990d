"""Access to ModelScope and Hugging Face through their own packages (the extra `download`).

Mirrors, private hubs and tokens are configured as those packages document: HF_ENDPOINT, MODELSCOPE_ENDPOINT.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vigil.errors import EnvironmentMissing, JobError, redact
from vigil.files import ADVICE

PACKAGES_ADVICE = "install both hubs' packages: pip install 'vigil[download]' (scripts/setup.sh core has them)"


@dataclass(frozen=True, slots=True)
class Listing:
    """A revision of a model: its commit (empty if the hub gives none), and the SHA-256 of the files that have one."""

    commit: str
    sha256: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Hub:
    """One hub: `listing(model, revision)` gives its files, `fetch(model, revision, folder)` downloads them."""

    name: str
    default_revision: str
    listing: Callable[[str, str], Listing]
    fetch: Callable[[str, str, Path], None]


def _huggingface_listing(model: str, revision: str) -> Listing:
    from huggingface_hub import HfApi

    info = HfApi().model_info(model, revision=revision, files_metadata=True)
    digests = {file.rfilename: file.lfs.sha256 for file in info.siblings or () if file.lfs is not None}
    return Listing(info.sha or "", digests)


def _huggingface_fetch(model: str, revision: str, folder: Path) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download(model, revision=revision, local_dir=folder)


def _modelscope_listing(model: str, revision: str) -> Listing:
    from modelscope_hub import HubApi

    files = HubApi().list_repo_files(model, "model", revision=revision)
    return Listing("", {file.path: file.sha256 for file in files if file.type == "blob" and file.sha256})


def _modelscope_fetch(model: str, revision: str, folder: Path) -> None:
    from modelscope_hub import HubApi

    HubApi().download_repo(model, "model", revision=revision, local_dir=folder)


HUBS = {
    "modelscope": Hub("modelscope", "master", _modelscope_listing, _modelscope_fetch),
    "huggingface": Hub("huggingface", "main", _huggingface_listing, _huggingface_fetch),
}
SHORT_NAMES = {"hf": "huggingface"}


@contextmanager
def translated_errors(hub: Hub, what: str, folder: Path) -> Iterator[None]:
    """Translates a hub's errors: raises EnvironmentMissing if its package is missing, JobError for other failures."""
    try:
        yield
    except ImportError as error:
        raise EnvironmentMissing(f"{hub.name} cannot be used ({error}); {PACKAGES_ADVICE}") from error
    except _errors_of(hub) as error:
        if isinstance(error, OSError) and error.errno in ADVICE:
            raise  # a disk error, which is explained elsewhere
        other = next(name for name in HUBS if name != hub.name)
        reason = redact(" ".join(str(error).split()))[:300] or type(error).__name__
        raise JobError(
            f"fetching {what} from {hub.name} failed: {reason}; check the network, the name and the revision, then run "
            f"the same command (it resumes), try --from {other}, or copy the files into {folder} by hand"
        ) from error


def _errors_of(hub: Hub) -> tuple[type[Exception], ...]:
    """The exceptions of the hub's package; network and disk failures are OSErrors in both."""
    if hub.name == "modelscope":
        from modelscope_hub import HubError

        return (HubError, OSError, ValueError)
    from httpx2 import HTTPError, InvalidURL
    from huggingface_hub.errors import RevisionResolutionError

    return (HTTPError, InvalidURL, RevisionResolutionError, OSError, ValueError)
