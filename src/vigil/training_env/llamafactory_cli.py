"""`llamafactory-cli`, loaded and left in two thirds of the time.

    .venv-train/bin/python llamafactory_cli.py train CONFIG

A model in 4 or 8 bits keeps its vision tower whole: LLaMA-Factory has no setting for it, and serving has it whole.
Positions of Qwen2.5-VL are numbered as it was pretrained with them, which the pinned transformers does not.
What it loads stays to its end, so that looking for garbage in it is time lost, 3 s of it when it ends.

Every argument that the installed LLaMA-Factory takes for a training, one a line.

After a new version of it:
    .venv-train/bin/python src/vigil/training_env/llamafactory_cli.py > src/vigil/training/llamafactory_keys.txt
"""

import atexit
import dataclasses
import gc
from functools import partial

from llamafactory.hparams.parser import _TRAIN_ARGS

NOT_QUANTIZED = ("lm_head", "visual", "model.visual")
"""The head, as transformers itself leaves it out, and the vision tower by its names in the model and in its parts."""


def keep_the_tower_whole() -> None:
    """Has LLaMA-Factory ask bitsandbytes to leave the vision tower as it is."""
    from llamafactory.model.model_utils import quantization

    quantization.BitsAndBytesConfig = partial(
        quantization.BitsAndBytesConfig, llm_int8_skip_modules=list(NOT_QUANTIZED)
    )


def main() -> None:
    """Runs one command of LLaMA-Factory in this process."""
    gc.disable()
    import llamafactory.train.tuner  # noqa: F401
    from llamafactory.cli import main as run
    from positions import mend_positions  # type: ignore[import-not-found]

    keep_the_tower_whole()
    mend_positions()
    gc.freeze()
    gc.enable()
    atexit.register(gc.freeze)
    run()


if __name__ == "__main__":
    main()


if __name__ == "__main__":
    names = {field.name for part in _TRAIN_ARGS for field in dataclasses.fields(part) if field.init}
    print("\n".join(sorted(names)))  # noqa: T201
