"""A molt that learns on: its adapter comes back as it was, and what was forgotten is not carried into the next."""

import json
from pathlib import Path

import pytest
import torch
from tiny_molt import ALPHA, RANK, TinyMolt, make_tiny_molt

from distill.carriers import forgetful, mark_forgetful
from distill.config import DistillConfig, load_config
from distill.export.adapter import export_adapter, permute, unpermute
from distill.manifest import read_manifest, target_ids
from distill.reporter import Reporter
from distill.run import Run, manifest_of
from distill.student import adapt, load_base
from distill.students.go_on import go_on_from
from memory.errors import MoltError, TrainingError, UsageError
from memory.home import Home


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, words_of: Path) -> TinyMolt:
    home = Home(tmp_path_factory.mktemp("go-on"))
    home.make_folders()
    return make_tiny_molt(home, words_of)


def test_rows_come_back_in_transformers_order() -> None:
    weight = torch.randn(24, 5)
    assert torch.equal(unpermute(permute(weight, 3), 3), weight)


def test_an_adapter_comes_back_as_it_was_written(made: TinyMolt, tmp_path: Path) -> None:
    adapter = made.source.molt.adapter
    config = DistillConfig(lora_rank=RANK, lora_alpha=ALPHA)
    student = adapt(load_base(made.pair.model.path), config)
    go_on_from(student, adapter)
    student.model.save_pretrained(tmp_path / "peft")
    export_adapter(tmp_path / "peft", tmp_path / "again.gguf", student.base.config)
    assert (tmp_path / "again.gguf").read_bytes() == adapter.read_bytes()


def test_another_rank_says_which_settings_fit(made: TinyMolt) -> None:
    student = adapt(load_base(made.pair.model.path), DistillConfig(lora_rank=2, lora_alpha=ALPHA))
    with pytest.raises(TrainingError, match=f"--set lora_rank={RANK} --set lora_alpha={ALPHA}"):
        go_on_from(student, made.source.molt.adapter)


def test_only_an_adapter_can_go_on() -> None:
    with pytest.raises(UsageError, match="start"):
        load_config("sft", ["start=champion", "student=whole"])
    with pytest.raises(UsageError, match="start"):
        load_config("sft", ["start=-1"])


def test_what_was_forgotten_is_not_learnt_on(taught_home: Home) -> None:
    run = Run(taught_home, Reporter(None))
    config = load_config("sft", ["start=champion"])
    with pytest.raises(TrainingError, match="no molt with an adapter to go on from: --set start=base"):
        run.plan(config, None)
    run.registry.promote(1, run.base_sha256)
    assert run.plan(config, None)[1].start_molt == 1
    run.registry.rollback(run.base_sha256)
    assert run.registry.champion(run.base_sha256) is None
    by_number = load_config("sft", ["start=1"])
    assert run.plan(by_number, None)[1].start_molt == 1
    with pytest.raises(MoltError, match="7"):
        run.plan(load_config("sft", ["start=7"]), None)
    run.registry.promote(1, run.base_sha256)
    mark_forgetful(taught_home, [1])
    with pytest.raises(TrainingError, match="forgotten since"):
        run.plan(config, None)


def test_it_has_learnt_what_the_molt_before_it_had(taught_home: Home, tmp_path: Path) -> None:
    run = Run(taught_home, Reporter(None))
    run.registry.promote(1, run.base_sha256)
    _made, state = run.plan(load_config("sft", ["start=champion"]), None)
    parent = read_manifest(run.registry.folder(1))
    verdict = {"verdict": {"verdict": "kept", "reasons": [""]}, "champion": 1}
    built = {**json.loads((run.registry.folder(1) / "report.json").read_text()), **verdict}
    manifest = manifest_of(state, built, tmp_path, [], parent)
    assert manifest["start"] == 1
    own = {target.key for target in state.targets}
    assert own
    assert target_ids(manifest) == own | target_ids(parent)
    assert len(manifest["targets"]) == len(target_ids(manifest)), "none twice"


def test_a_damaged_list_of_forgetful_molts_is_named(tmp_path: Path) -> None:
    assert forgetful(tmp_path) == set()
    (tmp_path / "forgotten.json").write_text("{")
    with pytest.raises(MoltError, match=r"forgotten\.json"):
        forgetful(tmp_path)
