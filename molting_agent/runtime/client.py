"""The engine as the rest of the program sees it: a worker process, started, listened to, and restarted when it dies."""

import base64
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from memory.errors import EngineError
from memory.files import sha256_file
from memory.home import Home
from molting_agent.runtime.models import ModelFile, check_gguf
from molting_agent.runtime.protocol import Delta, Done, EngineInfo, Sampling, Score, Segment, SoftScore

LOG_LIMIT_BYTES = 2_000_000


class WorkerDiedError(EngineError):
    """The worker is gone; the next request starts another."""


class EngineClient:
    """A model in a worker process (see ``protocol.Engine``).

    The process starts at once and loads in the background; the first use waits for it. When it dies, the request that
    was running raises EngineError, and the next one finds a fresh worker with the same adapter.
    """

    def __init__(
        self,
        model: ModelFile,
        *,
        home: Home,
        adapter: Path | None = None,
        context_tokens: int = 4096,
        threads: int = 0,
        shares_cores: bool = False,
        on_restart: Callable[[str], None] | None = None,
    ) -> None:
        self.model = model
        self._home = home
        self._adapter, self._adapter_sha256 = adapter, sha256_file(adapter) if adapter else ""
        self._context_tokens, self._threads = context_tokens, threads
        self._shares_cores = shares_cores
        self._on_restart = on_restart
        self._requests = threading.RLock()  # one request at a time
        self._writing = threading.Lock()  # a cancel may come in between
        self._number = 0
        self._current: int | None = None
        self._info: dict[str, Any] | None = None
        self._closed = False
        self._start()

    # -- the process --------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        log = self._home.logs_dir / "engine.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.old"))
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "molting_agent.runtime.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                # Ctrl+C in the terminal is for the app; the worker ends when its stdin closes.
                start_new_session=True,
                env=worker_environment(self._shares_cores),
            )
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._info = None
        threading.Thread(target=_read, args=(self._process.stdout, self._answers), daemon=True).start()
        self._opening = self._send(
            "open",
            path=str(self.model.path),
            sha256=self.model.sha256,
            context_tokens=self._context_tokens,
            threads=self._threads,
            cache_dir=str(self._home.cache_dir / "kv"),
        )

    def _ready(self) -> dict[str, Any]:
        """Wait until the model is loaded; start the worker again if it died since the last request."""
        if self._closed:
            raise EngineError("the engine is closed")
        if self._process.poll() is not None:
            self._restart()
        if self._info is None:
            info = self._result(self._opening)
            if self._adapter:
                try:
                    self._swap()
                except EngineError:
                    self._process.kill()  # the next request must not be answered by the base in the molt's name
                    raise
            self._info = info
        return self._info

    def _restart(self) -> None:
        code = self._process.wait()
        why = f"signal {-code}" if code < 0 else f"exit code {code}"
        if self._on_restart:
            self._on_restart(f"The inference process died ({why}) and was started again; see logs/engine.log.")
        self._start()

    def _send(self, operation: str, **arguments: Any) -> int:
        with self._writing:
            self._number += 1
            self._write({"id": self._number, "op": operation, **arguments})
            return self._number

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it was opened as a pipe
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass  # the worker is gone: the reader says so through the answers

    def _answer(self, number: int) -> dict[str, Any]:
        while True:
            message = self._answers.get()
            if message is None:
                self._answers.put(None)
                code = self._process.wait()
                raise WorkerDiedError(
                    f"the inference process died ({f'signal {-code}' if code < 0 else f'exit code {code}'}); "
                    f"its last words are in {self._home.logs_dir / 'engine.log'}"
                )
            if message["id"] == number:
                if "error" in message:
                    raise EngineError(message["error"])
                return message

    def _result(self, number: int) -> Any:
        return self._answer(number)["result"]

    def _call(self, operation: str, **arguments: Any) -> Any:
        """One request that may be made twice: a worker that dies over it is started again and asked once more."""
        with self._requests:
            try:
                return self._call_once(operation, **arguments)
            except WorkerDiedError:
                return self._call_once(operation, **arguments)

    def _call_once(self, operation: str, **arguments: Any) -> Any:
        self._ready()
        self._current = number = self._send(operation, **arguments)
        try:
            return self._result(number)
        finally:
            self._current = None

    # -- the interface ------------------------------------------------------------------------------------------------

    @property
    def info(self) -> EngineInfo:
        """What the worker says of the model; waits until it is loaded."""
        with self._requests:
            try:
                raw = self._ready()
            except WorkerDiedError:
                raw = self._ready()
        return EngineInfo(
            model_name=self.model.name,
            model_sha256=self.model.source_sha256,
            architecture=raw["architecture"],
            chat_template=raw["chat_template"],
            bos_token=raw["bos_token"],
            end_tokens=tuple(raw["end_tokens"]),
            context_tokens=raw["context_tokens"],
            trained_context_tokens=raw["trained_context_tokens"],
            parameters=raw["parameters"],
            file_bytes=self.model.bytes,
            threads=raw["threads"],
            adapter=self._adapter,
            adapter_sha256=self._adapter_sha256,
        )

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._process.pid

    def generate(
        self,
        segments: Sequence[Segment],
        *,
        max_tokens: int = 512,
        sampling: Sampling | None = None,
        prefix_segments: int = 0,
        schema: str = "",
        aside: bool = False,
    ) -> Iterator[Delta | Done]:
        with self._requests:
            self._ready()
            drawn = sampling or Sampling()
            self._current = number = self._send(
                "generate",
                segments=_raw(segments),
                max_tokens=max_tokens,
                sampling={name: getattr(drawn, name) for name in drawn.__slots__},
                prefix_segments=prefix_segments,
                schema=schema,
                aside=aside,
            )
            ended = False
            try:
                while not ended:
                    message = self._answer(number)
                    ended = "result" in message
                    yield Done(**message["result"]) if ended else Delta(message["delta"])
            except EngineError:
                ended = True
                raise
            finally:
                self._current = None
                if not ended:  # the caller left early: stop the worker and drop what is still on its way
                    self._cancel(number)
                    while "result" not in self._answer(number):
                        pass

    def warm(self, segments: Sequence[Segment], *, aside: bool = False) -> None:
        self._call("warm", segments=_raw(segments), aside=aside)

    def cancel(self) -> None:
        if (number := self._current) is not None:
            self._cancel(number)

    def _cancel(self, number: int) -> None:
        with self._writing:
            self._write({"id": number, "op": "cancel"})

    def score(self, segments: Sequence[Segment], *, aside: bool = False) -> Score:
        logprobs = self._call("score", segments=_raw(segments), aside=aside)
        sizes = tuple(len(s.text.encode("utf-8", "replace")) for s in segments if s.target)
        return Score(tuple(tuple(values) for values in logprobs), sizes)

    def soft_targets(self, segments: Sequence[Segment], *, k: int, temperatures: Sequence[float] = ()) -> SoftScore:
        import numpy as np

        raw = self._call("soft_targets", segments=_raw(segments), k=k, temperatures=list(temperatures))
        rows = len(raw["labels"])

        def array(name: str, kind: str, *shape: int) -> np.ndarray:
            return np.frombuffer(base64.b64decode(raw["arrays"][name]), kind).reshape(shape)

        return SoftScore(
            tokens=tuple(raw["tokens"]),
            labels_N=np.array(raw["labels"], np.uint32),
            sizes_N=np.array(raw["sizes"], np.uint16),
            label_logprob_N=array("label_logprob_N", "f4", rows),
            ids_NK=array("ids_NK", "u4", rows, k),
            logprobs_NK=array("logprobs_NK", "f4", rows, k),
            log_partition_NB=array("log_partition_NB", "f4", rows, len(temperatures)),
        )

    def token_bytes(self, tokens: Sequence[int]) -> list[bytes]:
        return [base64.b64decode(piece) for piece in self._call("token_bytes", tokens=list(tokens))]

    def tokenize(self, segments: Sequence[Segment]) -> list[list[int]]:
        return self._call("tokenize", segments=_raw(segments))

    def swap(self, adapter: Path | None) -> None:
        with self._requests:
            self._ready()
            if adapter is not None:
                check_gguf(adapter)
            before = self._adapter, self._adapter_sha256
            self._adapter, self._adapter_sha256 = adapter, sha256_file(adapter) if adapter else ""
            try:
                self._swap()
            except EngineError:
                self._adapter, self._adapter_sha256 = before
                raise

    def _swap(self) -> None:
        adapter = str(self._adapter) if self._adapter else None
        self._result(self._send("swap", adapter=adapter, sha256=self._adapter_sha256))

    def move(self, model: ModelFile, adapter: Path | None) -> None:
        """A worker of its own opens the other file; the old one ends when that has answered, or else goes on."""
        with self._requests:
            self._ready()
            if adapter is not None:
                check_gguf(adapter)
            before = self.model, self._adapter, self._adapter_sha256
            worker = self._process, self._answers, self._opening, self._info
            self.model, self._adapter, self._adapter_sha256 = model, adapter, sha256_file(adapter) if adapter else ""
            try:
                self._start()
                self._ready()
            except (EngineError, OSError) as error:
                if self._process is not worker[0]:
                    end(self._process)
                self.model, self._adapter, self._adapter_sha256 = before
                self._process, self._answers, self._opening, self._info = worker
                if isinstance(error, OSError):
                    raise EngineError(f"{model.path}: no process for it could be started ({error.strerror})") from None
                raise
            end(worker[0])

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        end(self._process)

    def __enter__(self) -> "EngineClient":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """Close a worker's stdin, at which it leaves; kill it when it takes too long."""
    if process.stdin:
        with contextlib.suppress(BrokenPipeError):  # it is gone already, and something was still unsent
            process.stdin.close()
    try:
        process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def _raw(segments: Sequence[Segment]) -> list[list[Any]]:
    return [[s.text, s.special, s.target] for s in segments]


def _read(stream: IO[bytes], answers: "queue.SimpleQueue[dict[str, Any] | None]") -> None:
    """Queue each line of the worker; None when it has ended."""
    for line in stream:
        answers.put(json.loads(line))
    answers.put(None)


def worker_environment(shares_cores: bool) -> dict[str, str]:
    """The worker's environment. Threads that wait by spinning decode a third faster on an idle machine; beside other
    programs they hold the cores that they wait for, and sleeping ones decode ten times faster."""
    return {"OMP_WAIT_POLICY": "passive", **os.environ} if shares_cores else dict(os.environ)
