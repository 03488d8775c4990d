"""The two hubs, by their own packages (the extra `download`): what a revision is, what its files are, and the files.

A mirror or a hub of one's own is named by the packages' settings: HF_ENDPOINT, MODELSCOPE_ENDPOINT. So is a token.
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
    """A revision of a model: its commit (empty where the hub names none), and the SHA-256 of the files it tells."""

    commit: str
    sha256: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Hub:
    """How one hub is asked: `listing(model, revision)`, then `fetch(model, revision, folder)`."""

    name: str
    default_revision: str
    listing: Callable[[str, str], Listing]
    fetch: Callable[[str, str, Path], None]


def _huggingface_listing(model: str, revision: str) -> Listing:
    from huggingface_hub import HfApi

    info = HfApi().model_info(model, revision=revision, files_metadata=True)
    told = {file.rfilename: file.lfs.sha256 for file in info.siblings or () if file.lfs is not None}
    return Listing(info.sha or "", told)


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
def asking(hub: Hub, what: str, folder: Path) -> Iterator[None]:
    """Puts a hub's errors into our words; raises EnvironmentMissing without its package, JobError for the rest."""
    try:
        yield
    except ImportError as error:
        raise EnvironmentMissing(f"{hub.name} cannot be asked ({error}); {PACKAGES_ADVICE}") from error
    except _errors_of(hub) as error:
        if isinstance(error, OSError) and error.errno in ADVICE:
            raise  # the disk's own trouble, which has words already
        other = next(name for name in HUBS if name != hub.name)
        said = redact(" ".join(str(error).split()))[:300] or type(error).__name__
        raise JobError(
            f"fetching {what} from {hub.name} failed: {said}; check the network, the name and the revision, then run "
            f"the same command (it goes on where it was), try --from {other}, or copy the files into {folder} by hand"
        ) from error


def _errors_of(hub: Hub) -> tuple[type[Exception], ...]:
    """What the hub's package raises of its own; a failure of the network or the disk is an OSError in both."""
    if hub.name == "modelscope":
        from modelscope_hub import HubError

        return (HubError, OSError, ValueError)
    from httpx2 import HTTPError, InvalidURL
    from huggingface_hub.errors import RevisionResolutionError

    return (HTTPError, InvalidURL, RevisionResolutionError, OSError, ValueError)
