"""Training: a config, a dataset that Vigil built, and LLaMA-Factory in an environment of its own.

`train` checks all that can be checked before minutes are spent, fills in what the dataset's contract decides,
runs `llamafactory-cli train`, and writes the manifest beside the adapter when it is done. The command is
`vigil train CONFIG [key=value ...]`, or `scripts/train.sh`, which makes sure of the environments first.
"""

from vigil.training.llamafactory import TrainingProgress
from vigil.training.run import TrainingPlan, TrainingResult, plan_training, train

__all__ = ["TrainingPlan", "TrainingProgress", "TrainingResult", "plan_training", "train"]
