from vigil.frames import FrameSampling
from vigil.manifest import Contract
from vigil.questions import load_question
from vigil.tiny import TASK_FILE


def test_the_tiny_task_is_fight_under_the_same_contract() -> None:
    tiny, fight = load_question(TASK_FILE), load_question("fight")
    assert Contract.of(tiny, FrameSampling()) == Contract.of(fight, FrameSampling())
    assert len(tiny.label("alarm").descriptions) == len(tiny.label("normal").descriptions) == 1
