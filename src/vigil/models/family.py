"""A model family: the facts about its models on which building, training, serving and judging must agree."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from vigil.frames import FrameSampling, min_side_px

TimeText: TypeAlias = Literal["before_group", "none"]
"""before_group: `<0.2 seconds>` precedes each group of frames. none: only the positions encode time."""

ServedTemplate: TypeAlias = Literal["bare_video", "own"]
"""bare_video: the model's own chat template without the marks around its videos. own: unchanged."""

SizeBounds: TypeAlias = Literal["video", "frame"]
"""What the bounds of the video processor limit: frames x height x width, or height x width of each frame."""

VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
VIDEO_PAD = "<|video_pad|>"


def time_text(seconds: float) -> str:
    """A time in the text form of Qwen3-VL: `<0.2 seconds>`."""
    return f"<{seconds:.1f} seconds>"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFamily:
    """Models that share a processor, a prompt layout and a LLaMA-Factory template.

    `name` is used in manifests, `model_types` in config.json; `example` is one such model on the hubs. Overheads are
    upper bounds in tokens. With `counts_seconds` the positions of a video's tokens count seconds, on which
    LLaMA-Factory and vLLM must agree. `system_prompt` is the one that the model's template adds.
    """

    name: str
    title: str
    model_types: tuple[str, ...]
    example: str
    pixel_multiple: int
    frames_per_group: int
    time_text: TimeText
    counts_seconds: bool
    group_overhead_tokens: int
    video_overhead_tokens: int
    system_overhead_tokens: int
    training_template: str
    served_template: ServedTemplate
    size_bounds: SizeBounds
    system_prompt: str = ""
    think_prefix: str = ""
    training_options: Mapping[str, Any] = field(default_factory=dict)
    serving_flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    supports_runtime_lora: bool = True

    @property
    def grid(self) -> dict[str, int]:
        """The arguments of a `FrameSampling` for this family."""
        return {"pixel_multiple": self.pixel_multiple, "frames_per_group": self.frames_per_group}

    def reads(self, sampling: FrameSampling) -> bool:
        """Whether frames of this size grid and grouping reach the model unchanged."""
        return self.grid.items() <= {key: getattr(sampling, key) for key in self.grid}.items()

    @property
    def min_side_px(self) -> int:
        """The minimum side of a frame."""
        return min_side_px(self.pixel_multiple)

    def cells(self, size_wh: tuple[int, int]) -> int:
        """The number of tokens of one picture, or of one group of frames, of this size."""
        width, height = size_wh
        return -(-width // self.pixel_multiple) * -(-height // self.pixel_multiple)

    def groups(self, num_frames: int) -> int:
        """The number of groups of frames in a video; the last one may be padded."""
        return -(-num_frames // self.frames_per_group)

    def visual_tokens(self, num_frames: int, size_wh: tuple[int, int]) -> int:
        """The number of visual tokens of a video, without the marks around them."""
        return self.groups(num_frames) * self.cells(size_wh)

    def video_size(self, tokens: int) -> dict[str, int]:
        """The video processor's `size`: frames of at least the minimum side, and a video of up to `tokens` tokens.

        Smaller videos are not resized; a bound of one window would silently shrink every longer video.
        """
        frames = self.frames_per_group if self.size_bounds == "video" else 1
        return self.image_size(tokens * frames * self.pixel_multiple**2)

    def image_size(self, max_pixels: int) -> dict[str, int]:
        """The image processor's `size` for pictures of up to `max_pixels` pixels."""
        return {"shortest_edge": self.min_side_px**2, "longest_edge": max_pixels}

    def training_prompt(self, question: str, num_frames: int, fps: float) -> str:
        """The training prompt without the pad tokens of its pictures, for counting tokens."""
        return self._turn(self._video_marks(num_frames, fps) + question)

    def processor_prompt(self, question: str) -> str:
        """The prompt of one video and a question that transformers' processor expands to the training prompt."""
        return self._turn(f"{VISION_START}{VIDEO_PAD}{VISION_END}{question}")

    def served_prompt(self, question: str) -> str:
        """The prompt that the served chat template must produce, before vLLM inserts the video."""
        video = VIDEO_PAD if self.served_template == "bare_video" else f"{VISION_START}{VIDEO_PAD}{VISION_END}"
        return self._turn(video + question)

    def _turn(self, content: str) -> str:
        system = f"<|im_start|>system\n{self.system_prompt}<|im_end|>\n" if self.system_prompt else ""
        return f"{system}<|im_start|>user\n{content}<|im_end|>\n<|im_start|>assistant\n{self.think_prefix}"

    def _video_marks(self, num_frames: int, fps: float) -> str:
        if self.time_text == "none":
            return VISION_START + VISION_END
        middle = (self.frames_per_group - 1) / 2
        times = [(self.frames_per_group * group + middle) / fps for group in range(self.groups(num_frames))]
        return "".join(time_text(time_s) + VISION_START + VISION_END for time_s in times)
