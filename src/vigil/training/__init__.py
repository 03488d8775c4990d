"""Fine-tunes with LLaMA-Factory, in an environment of its own, on a dataset that Vigil built.

`train` checks everything it can before the training starts, takes the settings that the dataset's contract decides,
runs `llamafactory-cli train`, and finally writes the manifest beside the adapter. The command is
`vigil train CONFIG [key=value ...]`, or `scripts/train.sh`, which sets up the environments first.
"""

from vigil.training.llamafactory import TrainingProgress
from vigil.training.run import TrainingPlan, TrainingResult, plan_training, train

__all__ = ["TrainingPlan", "TrainingProgress", "TrainingResult", "plan_training", "train"]
