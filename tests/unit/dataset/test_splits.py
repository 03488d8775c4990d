from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vigil.calibration import MIN_CLIPS
from vigil.dataset.clips import LabelledClip
from vigil.dataset.splits import SplitSettings, assign_splits
from vigil.errors import DatasetError, UsageError


def clip(name: str, label: str, split: str | None = None) -> LabelledClip:
    return LabelledClip(path=Path(name), name=name, label=label, slug=name, split=split)


def many(count: int = 40) -> tuple[list[LabelledClip], dict[str, str]]:
    clips = [clip(f"{label}-{number}", label) for label in ("alarm", "normal") for number in range(count)]
    return clips, {each.name: f"s{int(each.name.partition('-')[2]) // 4}" for each in clips}


def test_groups_stay_whole_and_labels_keep_their_share() -> None:
    clips, groups = many()
    splits = assign_splits(clips, groups, SplitSettings(test_share=0.3))
    sides = {(groups[name], split) for name, split in splits.items()}
    assert len(sides) == len(set(groups.values()))
    assert Counter((splits[each.name], each.label) for each in clips)["test", "alarm"] == 12


def test_the_seed_decides_and_repeats() -> None:
    clips, groups = many()
    first, again, other = (assign_splits(clips, groups, SplitSettings(seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_every_clip_is_the_test_of_exactly_one_fold() -> None:
    clips, groups = many()
    tests = Counter[str]()
    for fold in range(5):
        splits = assign_splits(clips, groups, SplitSettings(folds=5, fold=fold))
        tests.update(name for name, split in splits.items() if split == "test")
    assert set(tests.values()) == {1}
    assert len(tests) == len(clips)


def test_calibration_is_taken_out_of_what_is_trained_on() -> None:
    clips, groups = many()
    plain = assign_splits(clips, groups, SplitSettings())
    with_calibration = assign_splits(clips, groups, SplitSettings(calibration_share=0.25))
    moved = {name for name in plain if plain[name] != with_calibration[name]}
    assert moved
    assert {plain[name] for name in moved} == {"train"}
    assert not {groups[name] for name in moved} & {groups[n] for n, s in with_calibration.items() if s != "calibration"}


def test_val_is_taken_out_of_what_is_trained_on_and_shares_no_recording() -> None:
    clips, groups = many(100)
    plain = assign_splits(clips, groups, SplitSettings(calibration_share=0.2, val_share=0))
    splits = assign_splits(clips, groups, SplitSettings(calibration_share=0.2))
    moved = {name for name in plain if plain[name] != splits[name]}
    assert {(plain[name], splits[name]) for name in moved} == {("train", "val")}
    assert not {groups[name] for name in moved} & {groups[n] for n, side in splits.items() if side != "val"}
    held = Counter((splits[each.name], each.label) for each in clips)
    assert held["val", "alarm"] == held["val", "normal"] == 8


@pytest.mark.parametrize(
    ("count", "held"),
    [(60, (0, 0)), (150, (0, 16)), (200, (24, 16)), (400, (24, 40)), (1400, (96, 136))],
)
def test_clips_for_calibration_and_the_best_epoch_are_kept_where_there_are_enough(
    count: int, held: tuple[int, int]
) -> None:
    clips, groups = many(count // 2)
    counts = Counter(assign_splits(clips, groups, SplitSettings()).values())
    assert (counts["calibration"], counts["val"]) == held
    assert counts["calibration"] == 0 or counts["calibration"] >= MIN_CLIPS
    assert counts["train"] >= 0.48 * count


def test_folds_keep_nothing_for_calibration_unless_asked_to() -> None:
    clips, groups = many(100)
    assert "calibration" not in assign_splits(clips, groups, SplitSettings(folds=5, fold=0)).values()
    asked = SplitSettings(folds=5, fold=0, calibration_share=0.2)
    assert "calibration" in assign_splits(clips, groups, asked).values()


def test_200_clips_have_a_val_split_of_about_20_without_a_word() -> None:
    clips, groups = many(100)
    assert 16 <= Counter(assign_splits(clips, groups, SplitSettings()).values())["val"] <= 24


def test_few_clips_are_trained_on_unless_val_is_asked_for() -> None:
    clips, groups = many(20)
    assert "val" not in assign_splits(clips, groups, SplitSettings()).values()
    assert "val" in assign_splits(clips, groups, SplitSettings(val_share=0.3)).values()


def test_a_val_split_that_would_take_most_of_training_is_left_out_unless_asked_for() -> None:
    clips, _ = many(100)
    groups = {each.name: f"s{int(each.name.partition('-')[2]) // 34}" for each in clips}
    assert "val" not in assign_splits(clips, groups, SplitSettings(test_share=0)).values()


def test_a_val_split_that_is_asked_for_must_hold_both_labels() -> None:
    clips = [clip(f"{label}{n}", label) for label in ("alarm", "normal") for n in range(12)]
    groups = {each.name: each.name if each.label == "alarm" else f"n{int(each.name[6:]) // 6}" for each in clips}
    with pytest.raises(DatasetError, match="would hold no normal clips"):
        assign_splits(clips, groups, SplitSettings(val_share=0.2))


def test_val_is_taken_out_of_a_fold_too() -> None:
    clips, groups = many(100)
    assert set(assign_splits(clips, groups, SplitSettings(folds=5, fold=1)).values()) == {"train", "val", "test"}


def test_a_val_folder_is_kept_as_it_is() -> None:
    sides = ["train"] * 30 + ["val"] * 3 + ["test"] * 7
    clips = [clip(f"{label}{n}", label, side) for label in ("alarm", "normal") for n, side in enumerate(sides)]
    assert assign_splits(clips, {each.name: each.name for each in clips}, SplitSettings(val_share=0.5)) == {
        each.name: each.split for each in clips
    }


def test_folders_of_train_and_test_are_kept_unless_told_otherwise() -> None:
    clips = [
        clip(f"{label}{n}", label, "test" if n < 2 else "train") for label in ("alarm", "normal") for n in range(9)
    ]
    groups = {each.name: each.name for each in clips}
    assert assign_splits(clips, groups, SplitSettings()) == {each.name: each.split for each in clips}
    resplit = assign_splits(clips, groups, SplitSettings(test_share=0.5, resplit=True))
    assert Counter(resplit.values())["test"] in (8, 9, 10)


def test_clips_outside_of_train_and_test_are_not_guessed_about() -> None:
    clips = [clip("alarm", "alarm", "train"), clip("normal", "normal", "test"), clip("b", "alarm")]
    with pytest.raises(DatasetError, match="1 clips are outside"):
        assign_splits(clips, {each.name: each.name for each in clips}, SplitSettings())
    with pytest.raises(DatasetError, match="only a train/ folder"):
        assign_splits(clips[:1], {"alarm": "alarm"}, SplitSettings())


def test_one_recording_cannot_be_split() -> None:
    clips, _ = many(4)
    with pytest.raises(DatasetError, match=r"would hold no .* clips"):
        assign_splits(clips, dict.fromkeys((each.name for each in clips), "s0"), SplitSettings())


@pytest.mark.parametrize(
    "wrong",
    [
        {"test_share": 1.5},
        {"folds": 5},
        {"fold": 0},
        {"folds": 1, "fold": 0},
        {"folds": 5, "fold": 5},
        {"calibration_share": 1},
        {"val_share": 1},
        {"val_share": -0.1},
    ],
)
def test_plans_that_make_no_sense_are_wrong_usage(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        SplitSettings(**wrong)


@settings(max_examples=50)
@given(st.lists(st.integers(1, 12), min_size=8, max_size=30), st.integers(0, 5))
def test_the_test_share_is_met_within_the_largest_group(sizes: list[int], seed: int) -> None:
    clips = [
        clip(f"{label}-{g}-{n}", label)
        for g, size in enumerate(sizes)
        for n in range(size)
        for label in ("alarm", "normal")
    ]
    groups = {each.name: each.name.split("-")[1] for each in clips}
    splits = assign_splits(clips, groups, SplitSettings(test_share=0.3, seed=seed))
    share = Counter(splits.values())["test"] / len(clips)
    assert abs(share - 0.3) <= max(sizes) / sum(sizes)
