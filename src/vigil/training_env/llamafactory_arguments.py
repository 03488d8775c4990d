"""Prints every training argument that the installed LLaMA-Factory accepts, one per line.

After an update of LLaMA-Factory:
    .venv-train/bin/python src/vigil/training_env/llamafactory_arguments.py > src/vigil/training/llamafactory_keys.txt
"""

import dataclasses

from llamafactory.hparams.parser import _TRAIN_ARGS

if __name__ == "__main__":
    names = {field.name for part in _TRAIN_ARGS for field in dataclasses.fields(part) if field.init}
    print("\n".join(sorted(names)))  # noqa: T201
