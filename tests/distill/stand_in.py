"""A stand-in for the teachers' servers: speaks Anthropic's and OpenAI's APIs over real HTTP."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GOOD = "<rationale>\nThey ask {question!r}.\n</rationale>\n<reply>\nHeard: {question}\n</reply>"
Behaviour = Callable[["Request"], None]


class Request:
    """One request as it came, and the ways to answer it."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: bytes, number: int) -> None:
        self.handler, self.body, self.number = handler, body, number
        self.json: dict[str, Any] = json.loads(body)
        self.headers = {name.lower(): value for name, value in handler.headers.items()}

    @property
    def question(self) -> str:
        return self.json["messages"][-1]["content"]

    def send(self, status: int, payload: object, headers: dict[str, str] | None = None) -> None:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.handler.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.handler.send_header(name, value)
        self.handler.send_header("content-length", str(len(data)))
        self.handler.end_headers()
        self.handler.wfile.write(data)

    def message(self, text: str, *, thinking: str = "", stop: str = "end_turn") -> dict[str, Any]:
        """An answer in the form of this request's API."""
        if self.handler.path.endswith("/v1/messages"):
            thoughts = [{"type": "thinking", "thinking": thinking, "signature": "s"}] if thinking else []
            return {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": self.json["model"],
                "content": [*thoughts, {"type": "text", "text": text}],
                "stop_reason": stop,
                "stop_sequence": None,
                "usage": {"input_tokens": 7, "cache_read_input_tokens": 100, "output_tokens": 20},
            }
        stops = {"end_turn": "stop", "max_tokens": "length", "refusal": "content_filter"}
        message = {"role": "assistant", "content": text}
        if thinking:
            message["reasoning_content"] = thinking
        return {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": self.json["model"],
            "choices": [{"index": 0, "finish_reason": stops[stop], "message": message}],
            "usage": {"prompt_tokens": 107, "completion_tokens": 20, "total_tokens": 127},
        }

    def good(self) -> None:
        self.send(200, self.message(GOOD.format(question=self.question)))


class StandIn:
    """The server; ``behave(request)`` answers each one. It keeps every byte it received."""

    def __init__(self, behave: Behaviour = Request.good) -> None:
        self.behave = behave
        self.requests: list[Request] = []
        self.bytes = b""
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with outer._lock:
                    request = Request(self, body, len(outer.requests))
                    outer.requests.append(request)
                    outer.bytes += f"{self.path}\n{self.headers}".encode() + body
                    outer.at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer.at_once)
                try:
                    outer.behave(request)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                finally:
                    with outer._lock:
                        outer.at_once -= 1

            def log_message(self, *_arguments: object) -> None:
                """No lines among the tests' own."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def questions(self) -> list[str]:
        return [request.question for request in self.requests]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def hang(request: Request) -> None:
    """Say nothing for longer than any client here waits."""
    time.sleep(3)
    request.handler.close_connection = True


def torn(request: Request) -> None:
    """Promise a whole body, send half of it, and hang up."""
    data = json.dumps(request.message("<reply>half")).encode()
    request.handler.send_response(200)
    request.handler.send_header("content-type", "application/json")
    request.handler.send_header("content-length", str(len(data)))
    request.handler.end_headers()
    request.handler.wfile.write(data[: len(data) // 2])
    request.handler.wfile.flush()
    request.handler.close_connection = True
    request.handler.connection.close()
