"""What was on disk and in aliases before there were families stays as it was, byte for byte."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from vigil.dataset.extract import ExtractSettings
from vigil.errors import ManifestError
from vigil.frames import FrameSampling
from vigil.manifest import Base, Calibration, Contract, Manifest, parse_alias, read_manifest
from vigil.models import QWEN2_5_VL
from vigil.questions import load_question
from vigil.serving.declared_contracts import write_declared_contracts

CONTRACT = Contract.of(load_question("fight"), FrameSampling(fps=2.5, max_pixels=12_288))
ALIAS = "vigil-contract:fps=2.5:frames=6:overlap=0.4:max_pixels=12288:jpeg_quality=90:task=fight:question=08c64912"
MANIFEST = Manifest(
    contract=replace(CONTRACT, answers="verdict", describe="d"),
    base_model="b",
    template="qwen3_vl_nothink",
    data_digest="x",
    examples=3,
    created_utc="t",
    vigil_version="v",
    calibration=Calibration(temperature=2.0, bias=0.1, clips=24),
    training={"a": 1},
    base=Base(name="n"),
)
OTHER = Contract.of(load_question("fight"), FrameSampling(max_pixels=12_288, **QWEN2_5_VL.grid))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_aliases_of_qwen3_vl_are_as_they_were() -> None:
    assert CONTRACT.alias == ALIAS
    assert replace(CONTRACT, answers="verdict").alias_for("a=b") == f"{ALIAS}:answers=verdict:adapter=a%3Db"


def test_manifests_of_qwen3_vl_are_as_they_were(tmp_path: Path) -> None:
    assert sha256(MANIFEST.write(tmp_path)) == "0a2edee9ee6554a099cb274cfee6f62bf96b3e5e17f186533385c3ca1a43b627"
    assert read_manifest(tmp_path) == MANIFEST


def test_what_a_server_tells_is_as_it_was(tmp_path: Path) -> None:
    told = write_declared_contracts({"m": CONTRACT, "n": None}, CONTRACT.sampling, tmp_path)
    assert told.name == "contracts-1537a2a2.json"
    assert sha256(told) == "9bb6f686db957958ed25d280216ed68ea303075f9e106609f63e13424f12aa58"


def test_frames_that_were_cut_before_are_not_cut_again() -> None:
    digest = ExtractSettings(sampling=FrameSampling(max_pixels=12_288)).digest("abc")
    assert digest == "1989e64a065f6363cda661587690100666139eb3cb6e7e1be1649a4d69703daa"
    assert ExtractSettings(sampling=OTHER.sampling).digest("abc") != digest


def test_another_grid_is_told_by_alias_and_manifest(tmp_path: Path) -> None:
    assert OTHER.alias.endswith(":question=08c64912:pixel_multiple=28")
    assert parse_alias(OTHER.alias) == OTHER.sampling
    manifest = replace(MANIFEST, contract=OTHER, family="qwen2_5_vl", template="qwen2_vl")
    written = manifest.write(tmp_path).read_text()
    assert '"pixel_multiple": 28' in written and '"family": "qwen2_5_vl"' in written
    assert "frames_per_group" not in written
    assert read_manifest(tmp_path) == manifest


def test_two_grids_are_a_difference_whoever_names_his() -> None:
    here = Contract.of(load_question("fight"), FrameSampling(max_pixels=12_288))
    assert OTHER.differences(here.alias) == ["pixel_multiple is 28 here and 32 at the server"]
    assert here.differences(OTHER.alias) == ["pixel_multiple is 32 here and 28 at the server"]
    assert here.differences(here.alias) == OTHER.differences(OTHER.alias) == []


@pytest.mark.parametrize("told", ["many", "0"])
def test_a_grid_that_cannot_be_is_refused(told: str) -> None:
    with pytest.raises(ManifestError, match="cannot be read"):
        parse_alias(f"{ALIAS}:pixel_multiple={told}")
