"""A model family: every fact about its models that building, training, serving and judging must agree on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from vigil.frames import FrameSampling, min_side_px

TimeText: TypeAlias = Literal["before_group", "none"]
"""before_group: `<0.2 seconds>` stands before each group of frames. none: times are in the positions alone."""

ServedTemplate: TypeAlias = Literal["bare_video", "own"]
"""bare_video: the model's own chat template with the marks around its videos taken out. own: as it is."""

SizeBounds: TypeAlias = Literal["video", "frame"]
"""What the bounds of the video processor limit: frames x height x width, or height x width of each frame."""

VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
VIDEO_PAD = "<|video_pad|>"


def time_text(seconds: float) -> str:
    """A time as models of the Qwen3-VL kind read it: `<0.2 seconds>`."""
    return f"<{seconds:.1f} seconds>"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFamily:
    """The models that share a processor, a prompt layout and a LLaMA-Factory template.

    `name` is what manifests say, `model_types` are those of config.json, `example` is one of them on the hubs.
    Overheads are numbers of tokens from above. `counts_seconds` says that the positions of a video's tokens count
    seconds, which LLaMA-Factory and vLLM must agree on. A `system_prompt` is what the model's template adds.
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
        """What a `FrameSampling` for this family is made with."""
        return {"pixel_multiple": self.pixel_multiple, "frames_per_group": self.frames_per_group}

    def reads(self, sampling: FrameSampling) -> bool:
        """Whether frames that were sized and grouped so arrive as they are."""
        return self.grid.items() <= {key: getattr(sampling, key) for key in self.grid}.items()

    @property
    def min_side_px(self) -> int:
        """The shortest side of a frame."""
        return min_side_px(self.pixel_multiple)

    def cells(self, size_wh: tuple[int, int]) -> int:
        """The tokens of one picture, or of one group of frames, of this size."""
        width, height = size_wh
        return -(-width // self.pixel_multiple) * -(-height // self.pixel_multiple)

    def groups(self, num_frames: int) -> int:
        """How many groups of frames a video is read in; the last one may be filled up."""
        return -(-num_frames // self.frames_per_group)

    def visual_tokens(self, num_frames: int, size_wh: tuple[int, int]) -> int:
        """The tokens of a video's pictures, without what stands around them."""
        return self.groups(num_frames) * self.cells(size_wh)

    def video_size(self, tokens: int) -> dict[str, int]:
        """The video processor's `size`: frames of at least the shortest sides, and a video of up to so many tokens.

        What takes no more stays as it was sent; a bound of one window would shrink every longer look in silence.
        """
        frames = self.frames_per_group if self.size_bounds == "video" else 1
        return self.image_size(tokens * frames * self.pixel_multiple**2)

    def image_size(self, max_pixels: int) -> dict[str, int]:
        """The image processor's `size` for pictures of up to so many pixels."""
        return {"shortest_edge": self.min_side_px**2, "longest_edge": max_pixels}

    def training_prompt(self, question: str, num_frames: int, fps: float) -> str:
        """The prompt that a model is trained on, without the pads of its pictures: for counting tokens."""
        return self._turn(self._video_marks(num_frames, fps) + question)

    def processor_prompt(self, question: str) -> str:
        """The prompt of one video and a question as the processor of transformers expands it to the trained one."""
        return self._turn(f"{VISION_START}{VIDEO_PAD}{VISION_END}{question}")

    def served_prompt(self, question: str) -> str:
        """The prompt as the served chat template must write it, before vLLM puts the video in."""
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
