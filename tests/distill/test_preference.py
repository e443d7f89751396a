"""Learning from pairs: what the student comes to prefer, that it is TRL's loss, and what a kill costs."""

import copy
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from talks import question, reply, talk
from test_trainer import PREFIXES, tiny_student

from distill.config import DistillConfig
from distill.dataset import prefix_tokens
from distill.pair_lessons import PairLesson, first_meetings, pair_cost_tokens, pair_lessons, pair_rows, too_few_pairs
from distill.pair_scores import PairCollator, nats_of_pairs, reply_nats, score_pairs
from distill.pairs import Pair, pairs_of
from distill.preference import prefer, preference_trainer, replies_learnt
from distill.rows import Row
from distill.student import Student, load_student
from distill.trainer import Watch, checkpoints
from memory.home import Home
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.models import embedded_model
from molting_agent.runtime.protocol import Segment
from molting_agent.runtime.template import Message

CONFIG = DistillConfig(
    lora_rank=4,
    row_tokens=64,
    preference_epochs=4,
    preference_learning_rate=1e-2,
    preference_sft_weight=1.0,
)

SIZES = [len(prefix) for prefix in PREFIXES]


def lessons(first: int = 10, count: int = 16) -> list[PairLesson]:
    """The wanted reply counts up from the question's word, the other one counts down and is a word longer."""
    made = []
    for word in range(first, first + count):
        chosen = tuple((word + i) % 64 for i in range(1, 5))
        rejected = tuple((word - i) % 64 for i in range(1, 6))
        made.append(PairLesson(f"c{word}", "r", "edit", 2, (7, word, *chosen), (7, word, *rejected)))
    return made


def quiet(losses: list[float] | None = None, stop_after: int = 0) -> Watch:
    taken = [] if losses is None else losses
    return Watch(1e9, lambda _step, loss, _s: taken.append(loss), lambda: 0 < stop_after <= len(taken) + 1)


def learnt(
    folder: Path, student: Student, config: DistillConfig = CONFIG, watch: Watch | None = None
) -> dict[str, Any]:
    return prefer(student, lessons(), lessons(40, 6), PREFIXES, config, folder, watch or quiet())


def adapter(student: Student) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in student.model.named_parameters() if p.requires_grad}


def test_the_wanted_reply_gains_on_the_other_and_gets_no_rarer(tmp_path: Path) -> None:
    measured = learnt(tmp_path, tiny_student())
    before, after = measured["before"]["pairs"], measured["after"]["pairs"]
    assert after["margin_nats"] > before["margin_nats"] + 3
    assert after["preferred_share"] > before["preferred_share"]
    assert after["chosen_nats"] < before["chosen_nats"]
    assert measured["margins_nats"][0] == pytest.approx(0.0, abs=1e-4)
    assert measured["margins_nats"][-1] > 3
    assert measured["losses"][-1] < measured["losses"][0]
    assert measured["steps"] == len(measured["losses"]) == len(pair_rows(lessons(), SIZES, CONFIG, 4))
    assert measured["after"]["heldout_pairs"]["pairs"] == 6


def test_without_its_weight_the_wanted_reply_is_not_held(tmp_path: Path) -> None:
    """What the cross-entropy term is for: DPO alone is content when the other reply falls faster."""
    held = learnt(tmp_path / "held", tiny_student())["after"]["pairs"]
    free = learnt(tmp_path / "free", tiny_student(), replace(CONFIG, preference_sft_weight=0.0))["after"]["pairs"]
    assert free["chosen_nats"] > held["chosen_nats"] + 0.1


def test_a_larger_beta_holds_the_student_closer(tmp_path: Path) -> None:
    settings = {beta: replace(CONFIG, preference_beta=beta, preference_sft_weight=0.0) for beta in (0.1, 5.0)}
    moved = {}
    for beta, config in settings.items():
        measured = learnt(tmp_path / str(beta), tiny_student(), config)
        moved[beta] = measured["after"]["pairs"]["margin_nats"] - measured["before"]["pairs"]["margin_nats"]
    assert 0 < moved[5.0] < moved[0.1]


def test_only_replies_are_scored_and_each_as_if_it_stood_alone() -> None:
    student = tiny_student()
    pairs = lessons(count=3)
    row = Row(0, (2, 0, 1), 0)
    inputs = PairCollator([row], pairs, PREFIXES)([{"row": 0}])
    with torch.no_grad():
        nats_N, pairs_N, is_chosen_N, _output = reply_nats(student.model, student.head_VH, inputs)
    assert pairs_N.tolist() == [pair for pair in range(3) for _ in range(4 + 5)]
    assert is_chosen_N.tolist() == [True] * 4 + [False] * 5 + [True] * 4 + [False] * 5 + [True] * 4 + [False] * 5
    expected = []
    for pair in row.examples:
        for tokens in (pairs[pair].chosen, pairs[pair].rejected):
            ids = torch.tensor([[*PREFIXES[0], *tokens]])
            with torch.no_grad():
                hidden_SH = student.model(input_ids=ids).logits[0]
            logprobs_SV = (hidden_SH @ student.head_VH.T).log_softmax(-1)
            start = len(PREFIXES[0]) + pairs[pair].prompt_tokens
            expected += [-float(logprobs_SV[at - 1, ids[0, at]]) for at in range(start, ids.shape[1])]
    assert nats_N.tolist() == pytest.approx(expected, rel=1e-4)


def test_each_pair_has_its_reference_under_each_prompt_it_stands_with() -> None:
    pairs = lessons()
    rows = pair_rows(pairs, SIZES, CONFIG, 4)
    wanted = {(row.prefix, pair) for row in rows for pair in row.examples}
    assert {prefix for prefix, _pair in wanted} == {0, 1}
    assert set(nats_of_pairs(tiny_student(), pairs, rows, PREFIXES)) == wanted
    assert sorted(pair for row in pair_rows(pairs, SIZES, CONFIG, 1) for pair in row.examples) == [*range(16)]
    met = [(row.prefix, pair) for row in first_meetings(rows) for pair in row.examples]
    assert len(met) == len(wanted) == len(set(met))


def test_the_cost_of_pairs_is_their_rows_and_a_third_for_the_reference() -> None:
    pairs = lessons(count=3)
    once = replace(CONFIG, row_tokens=256, identity_share=0.0, preference_epochs=1.0)
    row = SIZES[1] + 3 * (6 + 7)
    assert pair_cost_tokens(pairs, SIZES, once) == row + round(row / 3)
    assert pair_cost_tokens(pairs, SIZES, replace(once, preference_epochs=3.0)) == 3 * row + round(row / 3)


def test_resumed_equals_uninterrupted_whatever_the_student_holds(tmp_path: Path) -> None:
    whole = tiny_student()
    losses: list[float] = []
    measured = learnt(tmp_path / "whole", whole, watch=quiet(losses))
    first: list[float] = []
    assert not replies_learnt(tmp_path / "parts")
    assert learnt(tmp_path / "parts", tiny_student(), watch=quiet(first, stop_after=5)) == {}
    assert replies_learnt(tmp_path / "parts")
    other = tiny_student()
    with torch.no_grad():
        for weight in (p for p in other.model.parameters() if p.requires_grad):
            weight.add_(0.1)
    rest: list[float] = []
    resumed = learnt(tmp_path / "parts", other, watch=quiet(rest))
    assert 0 < len(first) < len(losses)
    assert [*first, *rest] == pytest.approx(losses, rel=1e-5)
    assert resumed["before"] == measured["before"]
    assert resumed["after"]["pairs"] == pytest.approx(measured["after"]["pairs"], rel=1e-4)
    for name, weight in adapter(other).items():
        torch.testing.assert_close(weight, adapter(whole)[name], rtol=1e-5, atol=1e-6)


def test_killed_without_a_checkpoint_it_starts_from_the_replies_and_killed_after_the_last_it_is_done(
    tmp_path: Path,
) -> None:
    measured = learnt(tmp_path, tiny_student())
    other = tiny_student()
    with torch.no_grad():
        next(p for p in other.model.parameters() if p.requires_grad).add_(0.5)
    steps: list[float] = []
    assert learnt(tmp_path, other, watch=quiet(steps)) == measured
    assert steps == []
    for folder in checkpoints(tmp_path):
        shutil.rmtree(folder)
    again = learnt(tmp_path, other, watch=quiet(steps))
    assert again["losses"] == pytest.approx(measured["losses"], rel=1e-5)
    assert steps == again["losses"]


def test_it_is_the_loss_of_trls_trainer(tmp_path: Path) -> None:
    """On the same pairs, the same weights and the same reference; TRL pads what we pack."""
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaForCausalLM
    from trl import DPOConfig, DPOTrainer

    student = tiny_student()
    pairs = lessons(count=3)
    (row,) = pair_rows(pairs, SIZES, replace(CONFIG, row_tokens=256, identity_share=1.0), 1)
    ours = preference_trainer(student, pairs, [row], PREFIXES, CONFIG, tmp_path / "ours", quiet())
    ours.reference = nats_of_pairs(student, pairs, [row], PREFIXES)

    class Tokenised(DPOTrainer):
        def _prepare_dataset(self, dataset: Any, *_args: Any, **_kwargs: Any) -> Any:
            return dataset

    base = LlamaForCausalLM(copy.deepcopy(student.base.config))
    weights = {name.replace(".base_layer", ""): weight for name, weight in student.base.state_dict().items()}
    base.load_state_dict({**weights, "lm_head.weight": student.head_VH}, strict=False)
    base.set_attn_implementation("eager")
    config = LoraConfig(r=4, lora_alpha=CONFIG.lora_alpha, target_modules="all-linear", task_type="CAUSAL_LM")
    plain = get_peft_model(base, config)
    moved = adapter(student)

    def give(values: dict[str, torch.Tensor]) -> None:
        for model in (student.model, plain):
            for name, weight in model.named_parameters():
                if name in values:
                    weight.data.copy_(values[name])

    give(moved)
    theirs = Tokenised(
        model=plain,
        args=DPOConfig(
            output_dir=str(tmp_path / "theirs"),
            beta=CONFIG.preference_beta,
            loss_type=["sigmoid", "sft"],
            loss_weights=[1.0, CONFIG.preference_sft_weight],
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=True,
            report_to="none",
            per_device_train_batch_size=3,
        ),
        train_dataset=Dataset.from_list(
            [
                {
                    "prompt_ids": [*PREFIXES[row.prefix], *pair.chosen[: pair.prompt_tokens]],
                    "chosen_ids": list(pair.chosen[pair.prompt_tokens :]),
                    "rejected_ids": list(pair.rejected[pair.prompt_tokens :]),
                }
                for pair in (pairs[index] for index in row.examples)
            ]
        ),
        processing_class=ours.processing_class,
    )
    give({name: weight + 0.05 * torch.randn_like(weight) for name, weight in moved.items()})
    batch = theirs.data_collator([theirs.train_dataset[index] for index in range(3)])
    our_loss = ours.compute_loss(student.model, PairCollator([row], pairs, PREFIXES)([{"row": 0}]))
    their_loss = theirs.compute_loss(plain, batch)
    assert ours.parts["preference"] != pytest.approx(0.6931, abs=1e-3)
    assert float(our_loss.detach()) == pytest.approx(float(their_loss.detach()), rel=1e-4)
    assert ours.parts["replies"] * CONFIG.preference_sft_weight < float(our_loss.detach())
    our_loss.backward()
    their_loss.backward()
    slopes = {name: p.grad for name, p in plain.named_parameters() if p.grad is not None and ".default." in name}
    assert slopes
    for name, parameter in student.model.named_parameters():
        if name in slopes:
            torch.testing.assert_close(parameter.grad, slopes[name], rtol=1e-3, atol=1e-5)


def pair(chosen: str, rejected: str, *, name: str = "a", before: int = 0) -> Pair:
    turns = [turn for i in range(before) for turn in (question(f"question {i}?"), reply(f"r{i}", f"No, {i} of them."))]
    turns += [question(), reply("r", rejected, spoken_by=1, edited_text=chosen)]
    (found,) = pairs_of(talk(name, *turns), lambda _ids: "")
    return found


def test_a_pair_in_tokens_masks_the_prompt_and_learns_the_end_of_the_turn(engine: EngineClient) -> None:
    config = DistillConfig()
    pairs = [pair("Yes.", "Yes sir, at once!"), pair("No.", "No sir!", name="b")]
    learn, judge = pair_lessons(pairs, {"b"}, engine, config)
    assert [lesson.conversation for lesson in learn] == ["a"]
    assert [lesson.conversation for lesson in judge] == ["b"]
    (lesson,) = learn
    start = lesson.prompt_tokens
    assert lesson.chosen[:start] == lesson.rejected[:start]
    end = engine.info.end_tokens[0]
    for tokens, said, example in zip(
        (lesson.chosen, lesson.rejected), ("Yes.", "Yes sir, at once!"), lesson.examples, strict=True
    ):
        assert b"".join(engine.token_bytes(tokens[start:])).decode() in (said, said + end)
        assert len(engine.token_bytes(tokens[start:])) == 1 + len(engine.tokenize([Segment(said)])[0])
        assert example.tokens == tokens
        assert example.is_target == (False,) * start + (True,) * (len(tokens) - start)
    assert PairLesson.from_dict(json.loads(json.dumps(asdict(lesson)))) == lesson


def test_both_replies_fit_into_a_row(engine: EngineClient) -> None:
    config = DistillConfig(conversation_tokens=120)
    long = pair("Yes.", "Yes sir, at once!", before=12)
    ((lesson,), _judge) = pair_lessons([long], (), engine, config)
    (whole,), _judge = pair_lessons([long], (), engine, DistillConfig())
    assert lesson.tokens <= 120 < whole.tokens
    assert lesson.chosen == whole.chosen[-len(lesson.chosen) :]
    assert pair_lessons([pair("Yes.", "Yes " * 60)], (), engine, config) == ([], [])


def test_too_few_pairs_are_said_in_one_line() -> None:
    config = DistillConfig(preference_epochs=1, preference_min_pairs=3)
    assert too_few_pairs(3, config) == ""
    assert too_few_pairs(0, replace(config, preference_epochs=0)) == ""
    assert "2 of 3 needed pairs" in too_few_pairs(2, config)
    assert "\n" not in too_few_pairs(2, config)


def test_no_pairs_have_no_score() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        score_pairs(tiny_student(), [], PREFIXES, CONFIG)


@pytest.mark.slow
def test_the_embedded_model_learns_to_prefer_short_replies(engine: EngineClient, home: Home, tmp_path: Path) -> None:
    asked = ["is baleia ok?", "did the backup run?", "is the disk full?", "is it raining?"]
    said = "Certainly! I would be absolutely delighted to look into that for you right away, sir."
    made = [
        replace(pair(f"No, {index} of 4.", said, name=str(index)), prompt=(Message("user", text),))
        for index, text in enumerate(asked)
    ]
    config = DistillConfig(
        lora_rank=4, row_tokens=256, identity_share=0, preference_epochs=2, preference_learning_rate=3e-4
    )
    learn, _judge = pair_lessons(made, (), engine, config)
    prefixes = [prefix_tokens(config.short_system, engine)] * 2
    student = load_student(embedded_model(home).path, config)
    measured = prefer(student, learn, [], prefixes, config, tmp_path, quiet())
    assert measured["margins_nats"][0] == pytest.approx(0.0, abs=0.05)
    assert measured["after"]["pairs"]["margin_nats"] > measured["before"]["pairs"]["margin_nats"] + 5
    assert measured["after"]["pairs"]["chosen_nats"] < measured["before"]["pairs"]["chosen_nats"]
