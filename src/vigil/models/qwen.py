"""The Qwen families that Vigil supports. Another family takes a row here and its tests: docs/models.md."""

from typing import Final

from vigil.models.family import ModelFamily

QWEN3_VL: Final = ModelFamily(
    name="qwen3_vl",
    title="Qwen3-VL",
    # The mixture of experts has the same processor and layout; it is untested.
    model_types=("qwen3_vl", "qwen3_vl_moe"),
    example="Qwen/Qwen3-VL-2B-Instruct",
    pixel_multiple=32,  # patches of 16 px, merged 2 x 2
    frames_per_group=2,
    time_text="before_group",
    counts_seconds=False,
    # Two vision marks, and at most nine tokens of time: `<9999.9 seconds>`, one token per digit.
    group_overhead_tokens=11,
    video_overhead_tokens=0,
    system_overhead_tokens=0,
    training_template="qwen3_vl_nothink",
    # transformers from 5.10 on adds marks around each group itself and keeps the template's outer pair.
    served_template="bare_video",
    size_bounds="video",
)

QWEN2_5_VL: Final = ModelFamily(
    name="qwen2_5_vl",
    title="Qwen2.5-VL",
    model_types=("qwen2_5_vl",),
    example="Qwen/Qwen2.5-VL-3B-Instruct",
    pixel_multiple=28,  # patches of 14 px, merged 2 x 2
    frames_per_group=2,
    time_text="none",
    counts_seconds=True,
    group_overhead_tokens=0,
    video_overhead_tokens=2,
    system_overhead_tokens=11,
    training_template="qwen2_vl",
    served_template="own",
    size_bounds="frame",
    system_prompt="You are a helpful assistant.",
)
