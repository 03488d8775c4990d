"""The model a training starts from: is it all there, and which one is it?"""

import hashlib
from pathlib import Path

from vigil.errors import EnvironmentMissing
from vigil.model_files import incomplete, untrusted
from vigil.weights import INDEX_NAME, damage, weight_files

CHUNK_BYTES = 1 << 20


def check_base(folder: Path) -> None:
    """Raises EnvironmentMissing when the folder holds no complete model, or one that cannot be trained."""
    if not (folder / "config.json").is_file():
        raise EnvironmentMissing(
            f"there is no model at {folder}; fetch it with scripts/download_model.sh Qwen/{folder.name}, "
            "or name another folder: model_name_or_path=FOLDER"
        )
    _refuse(folder, untrusted(folder))
    again = f"run scripts/download_model.sh Qwen/{folder.name} again"
    weights = _weights(folder)
    missing = [name for name in weights if not (folder / name).is_file()]
    if missing:
        raise EnvironmentMissing(
            f"the model at {folder} is not complete, {', '.join(missing[:3])} is missing; {again}, it goes on where it "
            "stopped"
        )
    for name in weights:
        damaged = damage(folder / name)
        if damaged is not None:
            raise EnvironmentMissing(
                f"the model at {folder} is damaged: {name} {damaged}; remove that file and {again}"
            )
    _refuse(folder, incomplete(folder))


def _refuse(folder: Path, why: str) -> None:
    if why:
        raise EnvironmentMissing(f"the model at {folder} {why}")


def base_digest(folder: Path) -> str:
    """Sixteen hex digits that change with the weights: of each file its name, size, first and last MiB."""
    digest = hashlib.sha256()
    for name in ("config.json", *_weights(folder)):
        digest.update(f"{name} {(folder / name).stat().st_size}\n".encode())
        with (folder / name).open("rb") as file:
            digest.update(file.read(CHUNK_BYTES))
            file.seek(-min(CHUNK_BYTES, (folder / name).stat().st_size), 2)
            digest.update(file.read(CHUNK_BYTES))
    return digest.hexdigest()[:16]


def _weights(folder: Path) -> list[str]:
    try:
        return weight_files(folder)
    except (OSError, ValueError) as error:
        raise EnvironmentMissing(f"{folder / INDEX_NAME} is damaged ({error}); fetch the model again") from error
