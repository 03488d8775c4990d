from vigil.frames import Sampling
from vigil.manifest import Contract
from vigil.tasks import load_task
from vigil.tiny import TASK_FILE


def test_the_tiny_task_is_fight_under_the_same_contract() -> None:
    tiny, fight = load_task(TASK_FILE), load_task("fight")
    assert Contract.of(tiny, Sampling()) == Contract.of(fight, Sampling())
    assert len(tiny.alarm_descriptions) == len(tiny.normal_descriptions) == 1
