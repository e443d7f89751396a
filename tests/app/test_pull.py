"""Fetching a model, against a stand-in of the hub on this machine: choice of the file, resuming, sha256, errors."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from memory.errors import ModelError
from memory.home import Home
from molting_agent.pull import HubFile, choose
from molting_agent.runtime.models import known_models

ROOT = Path(__file__).parents[2]
REVISION = "c0ffee" + "0" * 34


class Hub(ThreadingHTTPServer):
    """One repository, ``owner/small``; ``budget`` breaks downloads off, ``lie`` names a wrong sha256."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files = files
        self.budget: int | None = None  # bytes that are still sent before every connection breaks
        self.lie = False
        self.asked: list[tuple[str, str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def sha256(self, name: str) -> str:
        return "0" * 64 if self.lie else hashlib.sha256(self.files[name]).hexdigest()


class _Answer(BaseHTTPRequestHandler):
    """What huggingface_hub asks: the description of a repository, then HEAD and GET of a file."""

    protocol_version = "HTTP/1.1"
    server: Hub

    def do_HEAD(self) -> None:
        self._file(body=False)

    def do_GET(self) -> None:
        if self.path.startswith("/api/models/owner/small"):
            siblings = [
                {
                    "rfilename": name,
                    "size": len(data),
                    "lfs": {"sha256": self.server.sha256(name), "size": len(data), "pointerSize": 130},
                }
                for name, data in self.server.files.items()
            ]
            siblings.append({"rfilename": "README.md", "size": 3})
            body = json.dumps({"id": "owner/small", "sha": REVISION, "siblings": siblings}).encode()
            self._send(200, body, {"Content-Type": "application/json"})
        elif self.path.startswith("/api/models/"):
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        else:
            self._file(body=True)

    def _file(self, *, body: bool) -> None:
        name = self.path.partition(f"/resolve/{REVISION}/")[2]
        data = self.server.files[name]
        wanted = self.headers.get("Range", "")
        self.server.asked.append((self.command, name, wanted))
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        end = len(data) - 1
        headers = {
            "ETag": f'"{self.server.sha256(name)}"',
            "X-Repo-Commit": REVISION,
            "Accept-Ranges": "bytes",
            "Content-Length": str(len(data) - start),
        }
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
        self.send_response(206 if wanted else 200)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if not body:
            return
        if (budget := self.server.budget) is not None:
            sent = data[start : start + budget]
            self.server.budget = budget - len(sent)
            self.wfile.write(sent)
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)
            return
        self.wfile.write(data[start:])

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, write_gguf: Callable[..., Path]) -> Iterator[Hub]:
    files = {
        f"small-{quantisation}.gguf": write_gguf(tmp_path / f"{seed}.gguf", seed=seed).read_bytes()
        for seed, quantisation in enumerate(["Q2_K", "Q8_0", "Q4_K_M"])
    }
    hub = Hub(files)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    yield hub
    hub.shutdown()
    hub.server_close()


def pull(home: Home, hub: Hub, name: str) -> subprocess.CompletedProcess[str]:
    """``molt models pull NAME`` as a process of its own, which reads $HF_ENDPOINT at its start."""
    environment = {
        **os.environ,
        "MOLTING_HOME": str(home.root),
        "HF_ENDPOINT": hub.url,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(home.root / "hf"),
    }
    return subprocess.run(
        [sys.executable, "-m", "molting_agent", "models", "pull", name],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def own_home(make_home: Callable[..., Home]) -> Home:
    """A home whose models folder is its own."""
    return make_home("own", with_models=False)


def test_the_best_file_is_fetched_checked_and_known_by_name(own_home: Home, hub: Hub) -> None:
    done = pull(own_home, hub, "owner/small")
    assert done.returncode == 0, done.stderr
    assert "molt models use small-Q8_0" in done.stdout
    (model,) = known_models(own_home)
    assert model.name == "small-Q8_0"
    assert model.path.read_bytes() == hub.files["small-Q8_0.gguf"]
    assert model.source == f"hf:owner/small/small-Q8_0.gguf@{REVISION}"
    assert model.sha256 == hub.sha256("small-Q8_0.gguf")
    asked = len(hub.asked)
    assert pull(own_home, hub, "owner/small").returncode == 0
    assert len(hub.asked) == asked  # it was there already


def test_a_quantisation_or_a_file_can_be_named(own_home: Home, hub: Hub) -> None:
    assert pull(own_home, hub, "owner/small:q4_k_m").returncode == 0
    assert pull(own_home, hub, "owner/small:small-Q2_K.gguf").returncode == 0
    assert {model.name for model in known_models(own_home)} == {"small-Q4_K_M", "small-Q2_K"}
    wrong = pull(own_home, hub, "owner/small:q3")
    assert wrong.returncode == 3
    assert "small-Q2_K.gguf, small-Q4_K_M.gguf, small-Q8_0.gguf" in wrong.stderr


def test_an_interrupted_download_goes_on_where_it_ended(own_home: Home, hub: Hub, prepared_models: Path) -> None:
    hub.files["small-Q8_0.gguf"] = (prepared_models / "SmolLM2-135M-Instruct.Q8_0.gguf").read_bytes()
    hub.budget = 45_000_000  # the hub's library writes pieces of 10 MB
    broken = pull(own_home, hub, "owner/small")
    hub.budget = None
    assert broken.returncode == 3
    assert "pull again to go on where it ended" in broken.stderr
    assert broken.stderr.count("\n") == 1
    hub.asked.clear()
    done = pull(own_home, hub, "owner/small")
    assert done.returncode == 0, done.stderr
    assert any(wanted.startswith("bytes=") and not wanted.startswith("bytes=0-") for _, _, wanted in hub.asked)
    (model,) = known_models(own_home)
    assert model.path.read_bytes() == hub.files["small-Q8_0.gguf"]


def test_a_wrong_sha256_is_refused_and_nothing_is_kept(own_home: Home, hub: Hub) -> None:
    hub.lie = True
    done = pull(own_home, hub, "owner/small")
    assert done.returncode == 3
    assert "is not the hub's 000000000000" in done.stderr
    assert done.stderr.count("\n") == 1
    assert known_models(own_home) == []
    assert not list(own_home.models_dir.rglob("*.gguf"))


def test_an_unknown_repository_and_a_silent_hub_are_one_line(own_home: Home, hub: Hub) -> None:
    unknown = pull(own_home, hub, "owner/other")
    assert unknown.returncode == 3
    assert "the hub has no such repository" in unknown.stderr
    assert unknown.stderr.count("\n") == 1
    hub.shutdown()
    hub.server_close()
    silent = pull(own_home, hub, "owner/small")
    assert silent.returncode == 3
    assert "could not be asked" in silent.stderr
    assert silent.stderr.count("\n") == 1


def file(path: str) -> HubFile:
    return HubFile("owner/repo", path, 1, "0" * 64, "main")


def test_choosing_among_files() -> None:
    files = [
        file("m-Q4_K_S.gguf"),
        file("m-Q4_K_M.gguf"),
        file("mmproj-f16.gguf"),
        file("big-Q8_0-00001-of-00002.gguf"),
    ]
    assert choose(files).path == "m-Q4_K_M.gguf"
    assert choose(files, "q4_k_s").path == "m-Q4_K_S.gguf"
    assert choose([file("only-one.gguf")]).path == "only-one.gguf"
    for wanted in ("q4_k", "Q8_0", "nothing.gguf"):
        with pytest.raises(ModelError):
            choose(files, wanted)
    with pytest.raises(ModelError, match="choose one"):
        choose([file("a.gguf"), file("b.gguf")])
