"""The model a training starts from: is it all there?"""

from pathlib import Path

from vigil.base_model import weight_files
from vigil.errors import EnvironmentMissing
from vigil.weights import damage


def check_base(folder: Path) -> None:
    """Raises EnvironmentMissing when the folder holds no complete model."""
    if not (folder / "config.json").is_file():
        raise EnvironmentMissing(
            f"there is no model at {folder}; fetch it with scripts/download_model.sh Qwen/{folder.name}, "
            "or name another folder: model_name_or_path=FOLDER"
        )
    again = f"run scripts/download_model.sh Qwen/{folder.name} again"
    weights = weight_files(folder)
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
