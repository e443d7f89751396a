"""Remote teachers against stand-in servers: what is sent, what is forgiven, what is tried again and what is not."""

import threading
from collections.abc import Callable, Iterator
from email.utils import formatdate

import pytest
from stand_in import Request, StandIn, hang, torn

from distill.teachers import patience
from distill.teachers.collect import Budget, Collector, Tally, to_ask
from distill.teachers.opening import open_teacher
from distill.teachers.protocol import Question
from distill.teachers.replies import Replies
from distill.teachers.settings import AnthropicSettings, OpenAISettings
from memory.errors import TrainingError, UsageError
from memory.home import Home
from molting_agent.runtime.prompt import ChatTurn

KEY = "sk-test-0123456789"
KINDS = ("anthropic", "openai")


@pytest.fixture
def server() -> Iterator[StandIn]:
    stand_in = StandIn()
    yield stand_in
    stand_in.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.01)
    monkeypatch.setenv("TEACHER_KEY", KEY)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def settings(kind: str, server: StandIn, **more: object) -> AnthropicSettings | OpenAISettings:
    values = {"kind": kind, "model": "m", "key_env": "TEACHER_KEY", "timeout_s": 0.5, "retries": 3, **more}
    if kind == "anthropic":
        return AnthropicSettings.model_validate({**values, "base_url": server.url})
    return OpenAISettings.model_validate({**values, "base_url": f"{server.url}/v1"})


def asked(*texts: str, label: str = "normal") -> list[Question]:
    return [
        Question(f"c{i}", f"q{i}", "I am Cláudio.", (ChatTurn("user", text),), (f"q{i}",), label=label)  # type: ignore[arg-type]
        for i, text in enumerate(texts)
    ]


Collect = Callable[..., tuple[Tally, Replies]]


@pytest.fixture
def collect(home: Home) -> Collect:
    """Asks a teacher with these settings all questions, as the command does."""

    def run(
        teacher_settings: AnthropicSettings | OpenAISettings, questions: list[Question], budget: int = 0
    ) -> tuple[Tally, Replies]:
        store, stop = Replies(home, "t"), threading.Event()
        teacher = open_teacher("t", teacher_settings, home, stop)
        tally = Tally("t", teacher_settings.kind, "m")
        count = len
        prompts = to_ask(questions, teacher.traits, store, count, tally)
        collector = Collector(teacher, store, tally, budget=Budget(budget), stop=stop, count_tokens=count)
        try:
            return collector.run(prompts), store
        finally:
            teacher.close()

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_reply_and_rationale_are_stored_with_what_was_used(kind: str, server: StandIn, collect: Collect) -> None:
    tally, store = collect(settings(kind, server, usd_per_million_in=10), asked("one?", "two?"))
    assert {(r.reply, r.rationale, r.status) for r in store} == {
        ("Heard: one?", "They ask 'one?'.", "ok"),
        ("Heard: two?", "They ask 'two?'.", "ok"),
    }
    assert (tally.stored, tally.tokens_in, tally.tokens_out) == (2, 214, 40)
    assert tally.usd == pytest.approx(214 * 10 / 1e6)
    assert all(r.messages[-1] in (("user", "one?"), ("user", "two?")) for r in store)


def test_the_identity_is_marked_for_the_cache_and_the_key_goes_in_its_header(server: StandIn, collect: Collect) -> None:
    tally, _store = collect(settings("anthropic", server), asked("one?", "two?"))
    first, second = server.requests
    assert first.json["system"] == second.json["system"]
    assert first.json["system"][0]["text"].startswith("I am Cláudio.")
    assert first.json["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert KEY in first.headers.get("x-api-key", first.headers.get("authorization", ""))
    assert KEY not in first.body.decode()
    assert tally.cached_tokens == 200


@pytest.mark.parametrize("kind", KINDS)
def test_thoughts_that_are_offered_are_the_rationale(kind: str, server: StandIn, collect: Collect) -> None:
    server.behave = lambda request: request.send(200, request.message("plain", thinking="since it is so"))
    more: dict[str, object] = {"thinking": "adaptive"} if kind == "anthropic" else {"rationale": False}
    _tally, store = collect(settings(kind, server, **more), asked("one?"))
    assert [(r.reply, r.rationale) for r in store] == [("plain", "since it is so")]
    assert "<rationale>" not in server.requests[0].body.decode()
    if kind == "anthropic":
        assert server.requests[0].json["thinking"]["type"] == "adaptive"


def fail_first(times: int, failure: Callable[[Request], None]) -> Callable[[Request], None]:
    return lambda request: failure(request) if request.number < times else request.good()


FAILURES: dict[str, Callable[[Request], None]] = {
    "429": lambda r: r.send(429, {"error": {"type": "rate_limit_error", "message": "slow"}}),
    "500": lambda r: r.send(500, {"error": {"message": "oh"}}),
    "529 without JSON": lambda r: r.send(529, b"<html>overloaded</html>", {"content-type": "text/html"}),
    "200 of a proxy": lambda r: r.send(200, b"<html>log in</html>", {"content-type": "text/html"}),
    "200 malformed": lambda r: r.send(200, b'{"id": "msg_1", "content": [{"ty'),
    "200 of another kind": lambda r: r.send(200, {"error": "none"}),
    "hung": hang,
    "torn": torn,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("failure", FAILURES)
def test_what_may_pass_is_tried_again(kind: str, failure: str, server: StandIn, collect: Collect) -> None:
    server.behave = fail_first(2, FAILURES[failure])
    tally, store = collect(settings(kind, server), asked("one?"))
    assert [r.reply for r in store] == ["Heard: one?"]
    assert len(server.requests) == 3
    assert (tally.waits, tally.error) == (2, "")


@pytest.mark.parametrize("kind", KINDS)
def test_a_wait_that_the_server_asks_for_is_kept(
    kind: str, server: StandIn, collect: Collect, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float | None] = []
    original = patience.wait_s
    monkeypatch.setattr(patience, "wait_s", lambda n, after, draw: waits.append(after) or original(n, after, draw))
    server.behave = fail_first(1, lambda r: r.send(429, {"error": {}}, {"retry-after": "0.3"}))
    collect(settings(kind, server), asked("one?"))
    assert waits == [0.3]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "says"),
    [(401, "set the environment variable TEACHER_KEY"), (403, "TEACHER_KEY may not use m"), (404, "there is no m at")],
)
def test_what_is_wrong_for_all_stops_at_once(
    kind: str, status: int, says: str, server: StandIn, collect: Collect
) -> None:
    server.behave = lambda request: request.send(status, {"error": {"message": f"bad {KEY}\x1b[31m"}})
    tally, store = collect(settings(kind, server, concurrency=1), asked("one?", "two?", "three?"))
    assert says in tally.error
    assert KEY not in tally.error
    assert "\x1b" not in tally.error
    assert (len(server.requests), len(store)) == (1, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_one_prompt_that_is_not_taken_does_not_stop_the_others(kind: str, server: StandIn, collect: Collect) -> None:
    def behave(request: Request) -> None:
        if request.question == "one?":
            request.send(400, {"error": {"message": "prompt is too long"}})
        else:
            request.good()

    server.behave = behave
    tally, store = collect(settings(kind, server), asked("one?", "two?"))
    assert [r.reply for r in store] == ["Heard: two?"]
    assert tally.failed == {"400: prompt is too long": 1}
    assert len(server.requests) == 2


def test_a_dead_server_is_left_alone_after_some_questions(server: StandIn, collect: Collect) -> None:
    server.behave = lambda request: request.send(503, {"error": {"message": "down"}})
    tally, _store = collect(settings("openai", server, retries=0, concurrency=1), asked(*map(str, range(20))))
    assert len(server.requests) == 5
    assert "run the same command again later" in tally.error
    assert tally.left == 15


def test_an_empty_account_is_not_waited_for(server: StandIn, collect: Collect) -> None:
    server.behave = lambda request: request.send(429, {"error": {"code": "insufficient_quota", "message": "pay"}})
    tally, _store = collect(settings("openai", server, concurrency=1), asked("one?"))
    assert "no credit left" in tally.error
    assert len(server.requests) == 1


def test_a_redirect_carries_nothing_elsewhere(server: StandIn, collect: Collect) -> None:
    elsewhere = StandIn()
    server.behave = lambda request: request.send(307, {}, {"location": f"{elsewhere.url}/v1/messages"})
    tally, _store = collect(settings("anthropic", server), asked("one?"))
    elsewhere.close()
    assert elsewhere.bytes == b""
    assert "307" in tally.error


@pytest.mark.parametrize(("second", "status"), [("<reply>better</reply>", "ok"), ("still nothing", "unparsed")])
def test_an_answer_out_of_form_is_repaired_once_or_kept_as_it_is(
    second: str, status: str, server: StandIn, collect: Collect
) -> None:
    server.behave = lambda r: r.send(200, r.message("no form" if r.number == 0 else second))
    tally, store = collect(settings("openai", server), asked("one?"))
    assert [(r.status, r.raw) for r in store] == [(status, "" if status == "ok" else "no form")]
    assert (tally.unparsed, tally.repaired) == ((0, 1) if status == "ok" else (1, 0))
    assert len(server.requests) == 2
    assert [m["role"] for m in server.requests[1].json["messages"]] == ["system", "user", "assistant", "user"]
    collect(settings("openai", server), asked("one?"))
    assert len(server.requests) == 2, "what could not be read is not paid for again"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("stop", "status"), [("max_tokens", "cut"), ("refusal", "refused")])
def test_cut_and_refused_answers_are_kept_apart(
    kind: str, stop: str, status: str, server: StandIn, collect: Collect
) -> None:
    server.behave = lambda r: r.send(200, r.message("<reply>half", stop=stop))
    _tally, store = collect(settings(kind, server), asked("one?"))
    assert [(r.status, r.reply, r.raw) for r in store] == [(status, "", "<reply>half")]


def test_no_more_requests_at_once_than_allowed(server: StandIn, collect: Collect) -> None:
    gate = threading.Semaphore(0)

    def behave(request: Request) -> None:
        if request.number < 3:
            gate.acquire(timeout=0.3)  # the first ones stay, so that any more would be seen
        request.good()

    server.behave = behave
    tally, _store = collect(settings("openai", server, concurrency=3), asked(*map(str, range(12))))
    assert tally.stored == 12
    assert server.most_at_once == 3


def test_a_private_question_never_reaches_a_server(server: StandIn, collect: Collect, home: Home) -> None:
    private = asked("my DIAGNOSIS", label="private")
    tally, _store = collect(settings("openai", server), [*private, *asked("one?")])
    assert tally.left_out == {"private: never leaves this machine": 1}
    assert server.questions == ["one?"]
    assert b"DIAGNOSIS" not in server.bytes
    teacher = open_teacher("t", settings("openai", server), home, threading.Event())
    from distill.teachers.prompts import prompt_of

    prompt = prompt_of(private[0], teacher.traits, len)
    assert prompt
    with pytest.raises(TrainingError, match="never leaves this machine"):
        teacher.ask(prompt)
    teacher.close()
    assert b"DIAGNOSIS" not in server.bytes


def test_the_budget_ends_it_cleanly_and_is_never_overspent(server: StandIn, collect: Collect) -> None:
    one = settings("openai", server, max_tokens=200, concurrency=1)
    tally, store = collect(one, asked(*[f"question {n}" for n in range(30)]), budget=3000)
    assert tally.tokens_in + tally.tokens_out <= 3000
    assert 0 < len(store) < 30
    assert tally.left == 30 - len(store)
    assert "budget" in tally.stopped
    assert not tally.error


def test_a_key_that_is_missing_is_named(home: Home, server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEACHER_KEY")
    for kind in KINDS:
        with pytest.raises(UsageError, match="set the environment variable TEACHER_KEY"):
            open_teacher("t", settings(kind, server), home, threading.Event())
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-this-server")
    teacher = open_teacher("t", settings("openai", server, key_env=""), home, threading.Event())
    teacher.close()
    assert b"sk-not-for-this-server" not in server.bytes


def test_a_date_as_wait_is_understood(server: StandIn, collect: Collect) -> None:
    past = formatdate(0, usegmt=True)
    server.behave = fail_first(1, lambda r: r.send(503, {"error": {}}, {"retry-after": past}))
    tally, store = collect(settings("anthropic", server), asked("one?"))
    assert (tally.waits, len(store)) == (1, 1)
