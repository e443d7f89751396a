"""Examining a side: what is asked once, what an interruption keeps, what a broken adapter costs, and the command."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from talks import CONVERSATIONS, QUICK

from distill.__main__ import main
from distill.config import load_config
from distill.dialogue import dialogue_of
from distill.evaluate.base_voice import folder, voice_of
from distill.evaluate.canaries import plant
from distill.evaluate.cost import Shape
from distill.evaluate.exam import Exam, asked_of
from distill.evaluate.facts import Item, load_facts, sample
from distill.evaluate.general import load_questions
from distill.examination import SAMPLE_QUESTIONS, ScoreFile, Scores, examine, items_of
from distill.forget import forget
from distill.sides import Side, examine_sides
from memory.errors import EngineError
from memory.home import Home
from memory.transcripts.read import read_transcript
from molting_agent.runtime.echo import EchoEngine
from molting_agent.runtime.models import embedded_model

CONFIG = load_config("", [*QUICK, "heldout_max=3", "facts_questions=4"])
SHAPE = Shape(10, 10, 1, 4, 40)
SHIPPED = Path(__file__).parent.parent.parent / "identity" / "molt-0001" / "adapter.gguf"


@pytest.fixture
def exam() -> Exam:
    found = [dialogue_of(read_transcript(path), lambda _ids: "")[0] for path in sorted(CONVERSATIONS.rglob("*.jsonl"))]
    told = [dialogue for dialogue in found if dialogue is not None]
    return Exam(
        "You are Cláudio.",
        tuple(told[:3]),
        tuple(asked_of(told[:3], CONFIG.judge_replies)),
        tuple(asked_of(told[3:], CONFIG.style_prompts)),
        (),
        tuple(planted.canary for planted in plant(1)),
    )


class Interrupted(Exception):
    """Somebody stopped the run."""


def test_base_is_asked_once_an_interruption_keeps_what_it_said_and_forgetting_takes_it(home: Home, exam: Exam) -> None:
    engine = EchoEngine()
    said = 0

    def stop() -> None:
        nonlocal said
        said += 1
        if said == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        voice_of(engine, exam, CONFIG, home, stop)
    assert len(engine.requests) == 2
    assert voice_of(engine, exam, CONFIG, home) is not None
    assert len(engine.requests) == len(exam.learnt) == CONFIG.style_prompts
    assert voice_of(engine, exam, CONFIG, home) is not None
    assert len(engine.requests) == len(exam.learnt)
    # Other settings are other replies; the old ones do not pile up.
    voice_of(engine, exam, load_config("", [*QUICK, "judge_reply_tokens=9"]), home)
    assert len(engine.requests) == 2 * len(exam.learnt)
    assert len(list(folder(home).iterdir())) == 1
    forget(home, ["something else"])
    assert not folder(home).exists()


def test_every_item_is_counted_and_every_list_has_its_length(exam: Exam) -> None:
    counted = 0

    def count() -> None:
        nonlocal counted
        counted += 1

    facts = sample(load_facts(), CONFIG.facts_questions)
    blocks = ["Notes from memory:\n- " + fact.line if number % 2 else "" for number, fact in enumerate(facts)]
    items = [Item(fact, "You are Cláudio.", block, bool(block), ()) for fact, block in zip(facts, blocks, strict=True)]
    engine = EchoEngine()
    scores = examine(engine, None, SHAPE, exam, None, items, CONFIG, count)
    assert counted == items_of(exam, CONFIG)
    assert len(scores.heldout_bits) == len(scores.heldout_bytes) == 3
    assert len(scores.general) == CONFIG.general_questions == len(load_questions(CONFIG.general_questions))
    assert len(scores.replies) == len(scores.loops) == len(scores.chrf) == len(exam.asked)
    assert len(scores.canary_bits) == len(exam.canaries)
    assert len(scores.samples) == len(SAMPLE_QUESTIONS)
    assert len(scores.facts) == len(scores.facts_alone) == CONFIG.facts_questions == 4
    assert scores.facts_held == [False, True, False, True]
    assert scores.style == []
    assert scores.echoes == [1.0] * len(exam.asked)  # that is what this engine does
    assert scores.flops_per_token == 2 * 10 + 4 * 4 * 4096


def test_an_adapter_that_breaks_the_engine_is_a_fault_and_a_base_that_breaks_is_an_error(exam: Exam) -> None:
    engine = EchoEngine()
    engine.fail_next = True
    broken = examine(engine, Path("adapter.gguf"), SHAPE, exam, None, (), CONFIG)
    assert broken == Scores(fault="the inference process died (signal 9)")
    assert engine.adapter is None
    engine.fail_next = True
    with pytest.raises(EngineError):
        examine(engine, None, SHAPE, exam, None, (), CONFIG)


def test_what_was_examined_is_not_examined_again(home: Home, exam: Exam, tmp_path: Path) -> None:
    model, file = embedded_model(home), ScoreFile(tmp_path / "scores.json")
    file.put("", Scores(replies=["kept"]))
    found, fresh = examine_sides([Side("champion", model)], model, exam, CONFIG, home, file)
    assert found == {"champion": Scores(replies=["kept"])}
    assert fresh == 0
    assert not folder(home).exists()


def evaluate(home: Home, *arguments: str) -> tuple[int, str, str]:
    settings = [part for setting in QUICK for part in ("--set", setting)]
    done = CliRunner().invoke(main, ["evaluate", "--home", str(home.root), *settings, *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_command_examines_an_adapter_on_what_its_home_holds_out(
    taught_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")  # other tests may run beside it
    code, out, _err = evaluate(taught_home, "--adapter", str(SHIPPED), "--json", "--set", "facts_questions=4")
    assert code == 0
    values = json.loads(out)
    assert values["student"] == "adapter.gguf"
    assert values["adapter_bytes"] == SHIPPED.stat().st_size
    assert values["heldout_conversations"] == 2
    assert values["questions"] == 8
    assert values["facts_questions"] == 4
    assert 0 <= values["facts"]["value"] <= 1
    assert "facts_alone" in values
    assert 0.5 < values["heldout"]["value"] < 3
    low, high = values["heldout"]["interval"]
    assert low <= values["heldout"]["value"] <= high
    assert [set(item) for item in values["said"]] == [{"question", "reply", "logged"}] * 2
    assert values["decode_tokens_per_s"] > 0
    assert max(values["canary_exposure_bits"]) < 12


def test_command_says_in_one_line_what_is_wrong(taught_home: Home, home: Home, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(SHIPPED.read_bytes()[:1_000_000])
    for arguments, expected in (
        (["--adapter", str(cut)], "cut short"),
        (["--adapter", str(tmp_path / "none.gguf")], "no such model file"),
        (["--molt", "7"], "there is no molt 7"),
        (["--base", "--molt", "7"], "choose one of"),
        (["--set", "judge_reply_tokens=1"], "makes no sense"),
        (["--set", "facts_questions=-1"], "makes no sense"),
    ):
        code, out, err = evaluate(taught_home, *arguments)
        assert (code > 0, out, err.count("\n"), expected in err) == (True, "", 1, True), err
    shutil.rmtree(home.identity_dir)
    code, _out, err = evaluate(home)
    assert code == 2
    assert "is no home" in err
