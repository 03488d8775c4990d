import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from vigil.errors import ManifestError
from vigil.frames import FrameSampling
from vigil.manifest import (
    Base,
    Calibration,
    Contract,
    Manifest,
    answers_from_alias,
    parse_alias,
    read_manifest,
)
from vigil.questions import load_question


def contract(**sampling: float) -> Contract:
    return Contract.of(load_question("fight"), FrameSampling(**sampling))  # type: ignore[arg-type]


def manifest() -> Manifest:
    return Manifest(
        contract=contract(max_pixels=12_288),
        base_model="tiny",
        template="qwen3_vl_nothink",
        calibration=Calibration(temperature=1.5, bias=-0.1, clips=40),
        training={"steps": 12, "loss": 0.4},
    )


def test_a_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    manifest().write(tmp_path)
    assert read_manifest(tmp_path) == manifest()


def test_a_manifest_from_before_it_told_of_the_base_is_read_and_written_as_it_was(tmp_path: Path) -> None:
    old = manifest().write(tmp_path).read_bytes()
    assert b'"base"' not in old and old.endswith(b'"format": 1\n}\n')
    held = read_manifest(tmp_path)
    assert held.base is None
    held.write(tmp_path)
    assert (tmp_path / "vigil.json").read_bytes() == old


def test_a_manifest_tells_the_base_with_its_revision_and_digest(tmp_path: Path) -> None:
    base = Base(name="Qwen/Qwen3-VL-2B-Instruct", source="huggingface", revision="c0ffee", sha256="ab" * 32)
    replace(manifest(), base=base).write(tmp_path)
    assert read_manifest(tmp_path).base == base
    assert str(base) == "Qwen/Qwen3-VL-2B-Instruct at c0ffee from huggingface"


def test_the_alias_of_a_model_that_answers_with_words_is_what_it_always_was() -> None:
    assert contract(max_pixels=12_288).alias == (
        "vigil-contract:fps=2:frames=6:overlap=0.4:max_pixels=12288:jpeg_quality=90:task=fight:question=QUESTION"
    ).replace("QUESTION", contract().question_digest)


def test_a_model_of_verdicts_alone_says_so_in_its_manifest_and_alias(tmp_path: Path) -> None:
    silent = replace(manifest(), contract=replace(contract(max_pixels=12_288), answers="verdict"))
    silent.write(tmp_path)
    assert read_manifest(tmp_path).contract.answers == "verdict"
    assert answers_from_alias(read_manifest(tmp_path).contract.alias_for("night")) == "verdict"
    assert answers_from_alias(contract().alias) == "words"
    assert contract(max_pixels=12_288).differences(silent.contract.alias) == []
    assert silent.contract.differences(contract(max_pixels=12_288).alias) == []


def test_earlier_versions_can_read_the_manifest_of_a_model_of_verdicts_alone(tmp_path: Path) -> None:
    replace(manifest(), contract=replace(contract(), answers="verdict")).write(tmp_path)
    data = json.loads((tmp_path / "vigil.json").read_text(encoding="utf-8"))
    # They refuse any key that they do not know, but for those in `training`.
    assert set(data["contract"]) == {"sampling", "task", "question", "alarm_word", "normal_word"}
    assert set(data) == {field.name for field in fields(Manifest)} - {"base", "family"}
    assert data["training"] == {
        "steps": 12,
        "loss": 0.4,
        "answers": "verdict",
        "describe": load_question("fight").describe,
    }


def test_the_question_for_a_description_travels_with_the_model(tmp_path: Path) -> None:
    mine = replace(load_question("fight"), name="mine", describe="Who is there?")
    replace(manifest(), contract=Contract.of(mine, FrameSampling())).write(tmp_path)
    held = read_manifest(tmp_path).contract
    assert (held.describe, held) == ("Who is there?", Contract.of(replace(mine, describe=""), FrameSampling()))
    assert held.as_question().description_question == "Who is there?"
    assert held.alias == Contract.of(replace(mine, describe=""), FrameSampling()).alias


def test_a_model_that_was_trained_on_words_again_says_nothing_of_it(tmp_path: Path) -> None:
    replace(manifest(), training={"answers": "verdict"}).write(tmp_path)
    assert read_manifest(tmp_path).contract.answers == "words"


def test_a_manifest_of_an_earlier_version_reads_as_it_always_did(tmp_path: Path) -> None:
    data = json.loads(manifest().write(tmp_path).read_text(encoding="utf-8"))
    del data["training"]["describe"]
    (tmp_path / "vigil.json").write_text(json.dumps(data), encoding="utf-8")
    held = read_manifest(tmp_path)
    assert (held.contract.answers, held.contract.describe, held) == ("words", "", manifest())


def test_a_folder_without_a_manifest_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"has no vigil\.json.*; name another folder$"):
        read_manifest(tmp_path, advice="name another folder")
    with pytest.raises(ManifestError, match=r"is unknown$"):
        read_manifest(tmp_path)
    with pytest.raises(ManifestError, match=r"there is no folder .*gone; name another folder"):
        read_manifest(tmp_path / "gone", advice="name another folder")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"contract": {}}', '{"contract": 3, "later": 1}'])
def test_a_damaged_manifest_is_an_error_not_a_guess(tmp_path: Path, text: str) -> None:
    (tmp_path / "vigil.json").write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError):
        read_manifest(tmp_path)


def test_the_alias_carries_the_sampling() -> None:
    assert parse_alias(contract(max_pixels=12_288, fps=2.5).alias) == FrameSampling(max_pixels=12_288, fps=2.5)


def test_a_foreign_model_name_is_no_contract() -> None:
    with pytest.raises(ManifestError):
        parse_alias("gpt-4o")


def test_equal_contracts_have_no_differences() -> None:
    assert contract().differences(contract().alias) == []


def test_each_difference_is_a_sentence() -> None:
    differences = contract(fps=2.0).differences(contract(fps=4.0, jpeg_quality=80).alias)
    assert differences == ["fps is 2 here and 4 at the server", "jpeg_quality is 90 here and 80 at the server"]


def test_another_question_is_a_difference() -> None:
    english = Contract.of(load_question("fight_en"), FrameSampling())
    told = "the question is not the one that the served model was trained on"
    assert told in contract().differences(english.alias)


def test_an_adapter_has_an_alias_of_its_own_that_says_the_same() -> None:
    alias = contract().alias_for("night shift")
    assert alias != contract().alias
    assert contract().differences(alias) == [] and parse_alias(alias) == contract().sampling
