"""What an incident is about can be seen in its picture: where it is, and by its contrast."""

import numpy as np

from vigil.synth.incidents import Staging, stage_scene
from vigil.synth.scene import Scene, random_scene

SEEDS = range(40)


def staged(activity: str, seed: int) -> Staging:
    rng = np.random.default_rng(seed)
    scene: Scene = random_scene(rng, size_wh=(128, 96), difficulty=0.8)
    return stage_scene(rng, activity, scene)


def test_smoke_stands_out_against_what_is_behind_it() -> None:
    for seed in SEEDS:
        staging = staged("smoke", seed)
        plume = staging.props.plume
        assert plume is not None
        assert abs(plume.grey - staging.scene.grey_at(plume.x, plume.y - 0.2)) >= 30


def test_a_tool_stands_out_against_what_is_behind_it_and_whoever_holds_it_stays_in_the_picture() -> None:
    for seed in SEEDS:
        staging = staged("tool", seed)
        (tool,), holder = staging.props.held, staging.actors[0]
        chest_y = staging.scene.floor_y(holder.depth) - 0.7 * staging.scene.height_at(holder.depth)
        assert abs(np.mean(tool.colour) - staging.scene.grey_at(holder.x, chest_y)) >= 30
        path = holder.x + holder.motion(np.arange(6) / 2).path_xy[:, 0] * staging.scene.height_at(holder.depth) * 3 / 4
        assert 0.0 < np.median(path) < 1.0


def test_a_marked_zone_lies_in_the_picture_with_nothing_before_it_and_an_intruder_inside() -> None:
    for seed in SEEDS:
        staging = staged("intrusion", seed)
        zone, scene, intruder = staging.props.zone, staging.scene, staging.actors[0]
        assert zone is not None and scene.foreground is None and zone.y + zone.half_height <= 1.0
        steps = intruder.motion(np.arange(6) / 2).path_xy[:, 0] * scene.height_at(intruder.depth) * 3 / 4
        assert np.abs(intruder.x + steps - zone.x).max() < zone.half_width * 1.3


def test_who_is_beside_a_zone_stands_outside_of_it() -> None:
    for seed in SEEDS:
        staging = staged("beside_zone", seed)
        zone = staging.props.zone
        assert zone is not None and staging.scene.foreground is None
        assert all(abs(actor.x - zone.x) > zone.half_width for actor in staging.actors)


def test_fences_and_marks_are_seen_by_the_light_of_the_scene() -> None:
    for seed in SEEDS:
        fenced, marked = staged("climbing", seed), staged("intrusion", seed)
        assert fenced.props.fence is not None and marked.props.zone is not None
        assert max(fenced.props.fence.colour) <= 255 * fenced.scene.light
        assert max(marked.props.zone.colour) <= 240 * marked.scene.light


def test_the_grey_of_a_place_is_that_of_the_background_there_even_at_its_edge() -> None:
    scene = staged("empty", 1).scene
    background = scene.background
    background[:, : background.shape[1] // 2], background[:, background.shape[1] // 2 :] = 10, 200
    assert scene.grey_at(0.1, 0.5) == 10 and scene.grey_at(0.9, 0.5) == 200
    assert scene.grey_at(-1.0, 3.0) == 10 and scene.grey_at(2.0, -1.0) == 200
