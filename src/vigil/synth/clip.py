"""Draws a surveillance-like clip: people in a scene, recorded by a camera, with the ground truth as numbers.

A clip is a function of its seed and of continuous time, so `draw_clip` draws the same events at any frame rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vigil.synth.actors import Actor, cast_activity, choose_activity, label_of
from vigil.synth.camera_effects import CameraEffects, apply_camera_effects, random_camera_effects, view_offsets
from vigil.synth.figure import Figure, FloatArray, Image, draw_figure, joint_positions, random_figure
from vigil.synth.incidents import ANOMALY_FOLDERS, Staging, choose_scene, folder_of, stage_scene
from vigil.synth.props import Props, draw_before, draw_behind, draw_held
from vigil.synth.scene import MARGIN, MovingObject, Scene, draw_moving_object, random_moving_objects, random_scene

DEFAULT_DIFFICULTY = 0.45
Scenes: TypeAlias = Literal["fight", "anomaly9"]


@dataclass(frozen=True)
class ClipFacts:
    """The ground truth of a clip with P people and T frames; positions are fractions of the frame's size."""

    joints: FloatArray  # (T, P, 11, xy)
    heights: FloatArray  # (P,) of the frame height
    behaviours: tuple[str, ...]
    lying: NDArray[np.bool_]  # (T, P)
    light: float
    aspect: float


@dataclass(frozen=True)
class DrawnClip:
    """Frames (T, H, W, 3) RGB, their times, the label (the name of a folder), the activity, and the ground truth."""

    frames: Image
    times_s: FloatArray
    label: str
    activity: str
    facts: ClipFacts


def draw_clip(
    seed: int,
    *,
    fps: float = 25.0,
    duration_s: float = 3.0,
    size_wh: tuple[int, int] = (320, 240),
    activity: str | None = None,
    difficulty: float = DEFAULT_DIFFICULTY,
    scene_seed: int | None = None,
    start_s: float = 0.0,
    scenes: Scenes = "fight",
) -> DrawnClip:
    """Draw the clip of a seed; `scene_seed` (default: seed) selects scene and camera, `difficulty` is 0..1.

    `scenes` says whose activities are drawn: those of the task `fight`, or those of `anomaly9`.
    """
    place = np.random.default_rng((7, seed if scene_seed is None else scene_seed))
    events = np.random.default_rng((11, seed))
    scene = random_scene(place, size_wh=size_wh, difficulty=difficulty)
    camera = random_camera_effects(place, difficulty=difficulty)
    if activity is None:
        activity = random_activity(events, scenes=scenes)
    if scenes == "fight":
        staging = Staging(scene, cast_activity(events, activity))
    else:
        staging = stage_scene(events, activity, scene)
    scene = staging.scene
    figures = [random_figure(events, light=scene.light) for _ in staging.actors]
    times = start_s + np.arange(max(1, round(duration_s * fps))) / fps
    moving_objects = random_moving_objects(events, difficulty=difficulty, light=scene.light)
    stage = _Stage(scene, camera, staging.actors, figures, moving_objects, staging.props, size_wh)
    joints = _tracks(stage, times)
    frames = _frames(stage, joints, times, seed=seed)
    facts = _facts(stage, joints)
    label = label_of(activity) if scenes == "fight" else folder_of(activity)
    return DrawnClip(frames, times, label, activity, facts)


def random_activity(rng: np.random.Generator, *, scenes: Scenes) -> str:
    """Choose a class of these scenes, each as likely as any other, and an activity of it."""
    if scenes == "fight":
        return choose_activity(rng, label=str(rng.choice(["fight", "normal"])))
    return choose_scene(rng, folder=str(rng.choice(ANOMALY_FOLDERS)))


@dataclass(frozen=True)
class _Stage:
    scene: Scene
    camera: CameraEffects
    actors: list[Actor]
    figures: list[Figure]
    moving_objects: list[MovingObject]
    props: Props
    size_wh: tuple[int, int]

    @cached_property
    def is_covered(self) -> NDArray[np.bool_]:
        """Mask of the pixels hidden by the foreground: (H, W, 1)."""
        assert self.scene.foreground is not None
        return np.asarray(self.scene.foreground.max(axis=2, keepdims=True) > 0)

    @property
    def aspect(self) -> float:
        return self.size_wh[0] / self.size_wh[1]


def _height(scene: Scene, actor: Actor) -> float:
    return scene.height_at(actor.depth) * actor.relative_height


def _tracks(stage: _Stage, times: FloatArray) -> FloatArray:
    """Joint positions (T, P, 11, xy): x as a fraction of the width, y of the height."""
    scene = stage.scene
    offsets = view_offsets(stage.camera, times) - MARGIN
    joints = np.zeros((len(times), len(stage.actors), 11, 2))
    for number, (actor, figure) in enumerate(zip(stage.actors, stage.figures, strict=True)):
        height = _height(scene, actor)
        movement = actor.motion(times)
        body = joint_positions(figure, movement.angles) * height
        x = actor.x + (actor.offset + movement.path_xy[:, 0]) * height / stage.aspect
        y = scene.floor_y(actor.depth) + movement.path_xy[:, 1] * height
        joints[:, number, :, 0] = body[:, :, 0] / stage.aspect + (x - offsets[:, 0])[:, None]
        joints[:, number, :, 1] = body[:, :, 1] * scene.squash + (y - offsets[:, 1])[:, None]
    return joints


def _frames(stage: _Stage, joints: FloatArray, times: FloatArray, *, seed: int) -> Image:
    shutter_s = stage.camera.shutter_s
    earlier = _tracks(stage, times - shutter_s) if shutter_s else joints
    views = view_offsets(stage.camera, times)
    frames = np.empty((len(times), stage.size_wh[1], stage.size_wh[0], 3), np.uint8)
    for index, time_s in enumerate(times):
        image = _picture(stage, joints[index], views[index], float(time_s))
        if shutter_s:
            smeared = _picture(stage, earlier[index], views[index], float(time_s) - shutter_s)
            image = np.asarray(cv2.addWeighted(image, 0.55, smeared, 0.45, 0.0), dtype=np.uint8)
        if stage.camera.mirrored:
            image = np.ascontiguousarray(image[:, ::-1])
        frames[index] = apply_camera_effects(
            stage.camera, image, float(time_s), seed=seed * 1009 + round(time_s * 1000) % 1009
        )
    return frames


def _picture(stage: _Stage, joints: FloatArray, view: FloatArray, time_s: float) -> Image:
    """The whole scene at one instant, drawn back to front."""
    image = _view(stage.scene.background, view, stage.size_wh)
    draw_behind(image, stage.props)
    for moving_object in stage.moving_objects:
        draw_moving_object(image, moving_object, time_s)
    _shadows(image, stage.scene, stage.actors, joints)
    for number in sorted(range(len(stage.actors)), key=lambda number: stage.actors[number].depth):
        height_px = _height(stage.scene, stage.actors[number]) * stage.size_wh[1]
        draw_figure(image, stage.figures[number], joints[number] * stage.size_wh, height_px=height_px)
        for held in stage.props.held:
            if held.actor == number:
                draw_held(image, held, joints[number] * stage.size_wh, height_px=height_px)
    if stage.scene.foreground is not None:
        np.copyto(image, stage.scene.foreground, where=stage.is_covered)
    return draw_before(image, stage.props, time_s)


def _view(background: Image, offset: FloatArray, size_wh: tuple[int, int]) -> Image:
    left, top = round(offset[0] * size_wh[0]), round(offset[1] * size_wh[1])
    left, top = min(left, background.shape[1] - size_wh[0]), min(top, background.shape[0] - size_wh[1])
    return np.ascontiguousarray(background[top : top + size_wh[1], left : left + size_wh[0]])


def _shadows(image: Image, scene: Scene, actors: list[Actor], joints: FloatArray) -> None:
    height, width = image.shape[:2]
    for actor, person in zip(actors, joints, strict=True):
        x, y = int(person[2, 0] * width), int(person[:, 1].max() * height)
        size = _height(scene, actor) * height
        if not (0 <= x < width and 0 <= y < height):
            continue
        colour = (image[y, x] * 0.7).tolist()
        cv2.ellipse(image, (x, y), (int(0.16 * size) + 1, int(0.04 * size) + 1), 0, 0, 360, colour, -1)


def _facts(stage: _Stage, joints: FloatArray) -> ClipFacts:
    seen = joints.copy()
    if stage.camera.mirrored:
        seen[..., 0] = 1.0 - seen[..., 0]
    rise = np.abs(joints[:, :, 0, 1] - joints[:, :, 2, 1])
    heights = np.array([_height(stage.scene, actor) for actor in stage.actors])
    lying = rise < 0.2 * heights * stage.scene.squash
    behaviours = tuple(actor.behaviour for actor in stage.actors)
    return ClipFacts(seen, heights, behaviours, lying, stage.scene.light, stage.aspect)
