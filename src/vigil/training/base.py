"""The model a training starts from, and the adapter that it goes on from: are they all there?"""

from pathlib import Path

from vigil.errors import EnvironmentMissing, UsageError
from vigil.lora.adapter import read_adapter_weights
from vigil.lora.limits import why_misfit
from vigil.lora.merge import read_tensors, ties_embeddings
from vigil.model_files import incomplete, untrusted
from vigil.weights import safetensors_damage, weight_files


def check_checkpoint(folder: Path) -> None:
    """Raises EnvironmentMissing when the folder holds no complete model, or one that cannot be trained."""
    if not (folder / "config.json").is_file():
        raise EnvironmentMissing(
            f"there is no model at {folder}; fetch it with scripts/download_model.sh Qwen/{folder.name}, "
            "or name another folder: model_name_or_path=FOLDER"
        )
    _refuse(folder, untrusted(folder))
    again = f"run scripts/download_model.sh Qwen/{folder.name} again"
    weights = weight_files(folder)
    missing = [name for name in weights if not (folder / name).is_file()]
    if missing:
        raise EnvironmentMissing(
            f"the model at {folder} is not complete, {', '.join(missing[:3])} is missing; {again}, it goes on where it "
            "stopped"
        )
    for name in weights:
        damaged = safetensors_damage(folder / name)
        if damaged is not None:
            raise EnvironmentMissing(
                f"the model at {folder} is damaged: {name} {damaged}; remove that file and {again}"
            )
    _refuse(folder, incomplete(folder))


def check_adapter(folder: Path, base: Path) -> None:
    """Raises UsageError when the folder holds no adapter of this base, or its weights only as a .bin."""
    wrong = why_misfit(read_adapter_weights(folder), read_tensors(base), tied=ties_embeddings(base))
    if wrong:
        raise UsageError(f"{folder} does not fit {base}: it {wrong}; name another adapter_name_or_path, or none")


def _refuse(folder: Path, why: str) -> None:
    if why:
        raise EnvironmentMissing(f"the model at {folder} {why}")
