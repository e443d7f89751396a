"""Settling: the champion's adapter becomes a file, judged before it speaks, and one that is damaged never does."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_molt import TinyMolt, copy_tiny_molt, make_tiny_molt, write_tiny_manifest

from distill.evaluate.bootstrap import Difference
from distill.export import settle as settling
from distill.export.settle import settle, unsettle
from distill.export.source import Source, find_source
from distill.manifest import ADAPTER_NAME, WHOLE_NAME, read_manifest
from distill.registry import Molt, Registry
from distill.running import MERGED_NAME, SETTLED, merged_file, running
from memory.errors import MoltError
from memory.files import file_lock, sha256_file
from memory.home import Home
from molting_agent.runtime.models import embedded_model

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, words_of: Path) -> TinyMolt:
    home = Home(tmp_path_factory.mktemp("made"))
    home.make_folders()
    return make_tiny_molt(home, words_of, packed=True)


@pytest.fixture
def molt(made: TinyMolt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyMolt:
    monkeypatch.setattr(settling, "GENERAL_QUESTIONS", 4)
    return copy_tiny_molt(made, Home(tmp_path / "tiny"))


def silent(_what: str, _share: float) -> None:
    """No progress is shown."""


def champion(source: Source) -> Molt:
    found = Registry(source.home.molts_dir).champion(source.model.source_sha256)
    assert found is not None
    return found


def test_the_merged_file_stands_beside_the_adapter_and_speaks(molt: TinyMolt) -> None:
    changed = Registry(molt.home.molts_dir).changed_at()
    done = settle(molt.source, silent)
    assert (done.molt, done.settled) == (1, True)
    now = champion(molt.source)
    now.verify()
    entry = now.manifest[SETTLED]
    assert entry["sha256"] == sha256_file(now.path / MERGED_NAME)
    assert entry["quant"] == "q8_0"
    assert entry["agreement"]["cosine"] > 0.99
    assert set(entry["judged"]) == {"general"}  # a new home has no conversations
    assert (now.path / ADAPTER_NAME).exists()
    assert Registry(molt.home.molts_dir).changed_at() > changed  # running apps look again
    model, adapter = running(now, molt.source.model)
    assert (model.path, adapter, model.sha256) == (now.path / MERGED_NAME, None, entry["sha256"])
    assert (model.name, model.source_sha256) == (molt.source.model.name, molt.source.model.source_sha256)
    assert running(now, molt.source.model, settled=False) == (molt.source.model, now.adapter)
    again = settle(find_source(molt.home, None, str(molt.source.model.path)), silent)
    assert (again.settled, again.reason) == (True, "as before")


def test_a_merged_file_that_changed_is_passed_over(molt: TinyMolt) -> None:
    settle(molt.source, silent)
    now = champion(molt.source)
    path = now.path / MERGED_NAME
    copied = path.read_bytes()
    path.write_bytes(copied)  # as a restored backup has it: another time, the same bytes
    assert merged_file(now) == path
    path.write_bytes(copied[:-1] + bytes([copied[-1] ^ 1]))
    assert merged_file(now) is None
    assert running(now, molt.source.model) == (molt.source.model, now.adapter)
    path.unlink()
    assert running(now, molt.source.model) == (molt.source.model, now.adapter)


def test_the_base_and_a_whole_student_run_from_their_own_files(molt: TinyMolt) -> None:
    base = molt.source.model
    assert running(None, base) == (base, None)
    folder = Registry(molt.home.molts_dir).folder(2)
    folder.mkdir()
    shutil.copyfile(molt.pair.model.path, folder / WHOLE_NAME)
    write_tiny_manifest(folder, 2, base.source_sha256, WHOLE_NAME)
    model, adapter = running(Registry(molt.home.molts_dir).get(2), base)
    assert (model.path, adapter) == (folder / WHOLE_NAME, None)
    assert (model.sha256, model.source_sha256) == (molt.pair.model.sha256, base.source_sha256)


def test_a_file_that_is_worse_is_not_kept_nor_tried_again(molt: TinyMolt, monkeypatch: pytest.MonkeyPatch) -> None:
    worse = Difference(before=0.5, after=0.4, low=-0.12, high=-0.08, items=4)
    monkeypatch.setattr(settling, "paired_difference", lambda *_values, **_settings: worse)
    done = settle(molt.source, silent)
    assert done.settled is False
    assert done.reason == "the merged file is worse: general questions 50.0 -> 40.0 %"
    now = champion(molt.source)
    assert not (now.path / MERGED_NAME).exists()
    assert sorted(path.name for path in now.path.iterdir()) == [ADAPTER_NAME, "manifest.json"]
    assert running(now, molt.source.model) == (molt.source.model, now.adapter)
    monkeypatch.setattr(settling, "merged_gguf", None)  # it would be called
    assert settle(find_source(molt.home, None, str(molt.source.model.path)), silent) == done


def test_a_difference_within_rounding_is_as_good(molt: TinyMolt, monkeypatch: pytest.MonkeyPatch) -> None:
    rounding = Difference(before=0.5, after=0.499, low=-0.002, high=-0.0005, items=4)
    monkeypatch.setattr(settling, "paired_difference", lambda *_values, **_settings: rounding)
    assert settle(molt.source, silent).settled


def test_only_the_champion_is_settled(molt: TinyMolt) -> None:
    settle(molt.source, silent)
    registry, base = Registry(molt.home.molts_dir), molt.source.model.source_sha256
    shutil.copytree(registry.folder(1), registry.folder(2), ignore=shutil.ignore_patterns(MERGED_NAME))
    write_tiny_manifest(registry.folder(2), 2, base)
    registry.promote(2, base)
    assert settle(find_source(molt.home, None, str(molt.source.model.path)), silent).molt == 2
    assert not (registry.folder(1) / MERGED_NAME).exists()
    assert SETTLED not in read_manifest(registry.folder(1))
    assert registry.rollback(base) == 1
    now = champion(molt.source)
    assert running(now, molt.source.model) == (molt.source.model, now.adapter)
    unsettle(registry.get(2))
    unsettle(registry.get(2))  # twice is as good as once
    assert not (registry.folder(2) / MERGED_NAME).exists()


def test_another_champion_meanwhile_leaves_nothing(molt: TinyMolt, monkeypatch: pytest.MonkeyPatch) -> None:
    registry, base = Registry(molt.home.molts_dir), molt.source.model.source_sha256
    check = settling.check_gguf_student

    def promoted_meanwhile(*arguments: object) -> object:
        registry.promote(0, base)
        return check(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(settling, "check_gguf_student", promoted_meanwhile)
    done = settle(molt.source, silent)
    assert (done.settled, done.reason) == (False, "another molt was promoted meanwhile")
    assert not (registry.folder(1) / MERGED_NAME).exists()
    assert SETTLED not in read_manifest(registry.folder(1))


def test_what_cannot_be_settled_says_so(molt: TinyMolt) -> None:
    base = find_source(molt.home, 0, str(molt.source.model.path))
    assert settle(base, silent).reason == "it speaks without an adapter"
    source = replace(molt.source, model=molt.pair.model)  # in float32, which no merged file is written in
    with pytest.raises(MoltError, match=r"packed in a way that a merged molt cannot be .*settle = false"):
        settle(source, silent)


def test_the_command_says_what_came_of_it_and_runs_once_at_a_time(molt: TinyMolt) -> None:
    command = [sys.executable, "-m", "distill", "settle", "--home", str(molt.home.root)]
    command += ["--model", str(molt.source.model.path)]
    with file_lock(molt.home.molts_dir / ".settle.lock"):
        busy = subprocess.run(command, capture_output=True, text=True, check=False)
    assert busy.returncode == 2
    assert busy.stderr == "distill: the molt of this home is being merged already; wait for it\n"
    folder = Registry(molt.home.molts_dir).folder(1)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, SETTLED: {"refused": "it was worse"}}))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Molt 1 is not merged: it was worse.\n")


@pytest.mark.slow
def test_the_shipped_molt_settles_judged_by_conversations(taught_home: Home) -> None:
    Registry(taught_home.molts_dir).promote(1, embedded_model(taught_home).source_sha256)
    source = find_source(taught_home, None)
    done = settle(source, silent)
    assert done.settled, done.reason
    entry = champion(source).manifest[SETTLED]
    voice = entry["judged"]["voice"]
    assert voice["items"] >= 4
    assert abs(voice["mean"]) < 0.01 * voice["before"]
    assert Path(champion(source).path / MERGED_NAME).stat().st_size == entry["bytes"]
