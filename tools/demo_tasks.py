"""The tasks of the demo: what each asks, draws and trains."""

from collections.abc import Mapping
from dataclasses import dataclass

from vigil.tiny import TASK_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoTask:
    """What a demo asks, and what it draws and trains for it.

    `file` is the task file, `shares` those of the splits of drawn clips, `samples` the training windows over all
    epochs, `overrides` those of configs/train/tiny_lora.yaml. `is_calibrated` fits a calibration to a split that is
    kept for it.
    """

    question: str
    file: str
    clips: int
    what: str
    draw: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()
    samples: int
    most_epochs: int = 12
    overrides: tuple[str, ...] = ()
    is_calibrated: bool = False


TASKS: Mapping[str, DemoTask] = {
    # A minute and a half of training on two cores. 7 % of so many clips select the best epoch as well as 15 %.
    "fight": DemoTask(
        question="fight",
        file=str(TASK_FILE),
        clips=1400,
        what="drawn clips of people, half of them fights",
        shares=("--calibration-share", "0", "--val-share", "0.07"),
        samples=4200,
    ),
    # More of everything, as there are nine classes to tell apart; at 6 fps half as many frames are drawn as at 12. The
    # tiny base has never seen smoke, tools or marked floors, so its vision tower is trained too.
    "anomaly9": DemoTask(
        question="anomaly9",
        file="anomaly9",
        clips=5000,
        what="drawn clips of eight kinds of incidents and of normal scenes",
        draw=("--task", "anomaly9", "--fps", "6"),
        shares=("--test-share", "0.12", "--calibration-share", "0.04", "--val-share", "0.03"),
        samples=16_000,
        overrides=("freeze_vision_tower=false", "freeze_multi_modal_projector=false"),
        is_calibrated=True,
    ),
}
