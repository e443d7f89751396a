"""Tool choice on 72 requests in two languages (24 held out), and what tools cost plain talk: the pattern check alone.

python benchmarks/tools.py [--model PATH] [--native]
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from memory.home import Home
from molting_agent.runtime.client import EngineClient
from molting_agent.runtime.models import resolve_model
from molting_agent.runtime.template import knows_tools
from molting_agent.tools.choose import Call, choose
from molting_agent.tools.gate import suggested
from molting_agent.tools.native import NATIVE_PARAMETERS, choose_natively
from molting_agent.tools.registry import TOOLS

REQUESTS = Path(__file__).with_name("tool_requests.jsonl")


def fits(call: Call | None, request: dict[str, Any]) -> bool:
    """Whether the arguments hold what was asked: a path or command exactly, a text as its key words."""
    wanted = request["arguments"]
    if call is None:
        return not wanted
    return all(
        call.arguments.get(name) == value
        if name in ("path", "command")
        else str(value).lower() in str(call.arguments.get(name, "")).lower()
        for name, value in wanted.items()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="", help="a GGUF; the embedded model when left out")
    parser.add_argument("--native", action="store_true", help="the model's own tool template, whatever its size")
    options = parser.parse_args()
    requests = [json.loads(line) for line in REQUESTS.read_text().splitlines()]
    counts: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    times_s: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        home.make_folders()
        with EngineClient(resolve_model(home, options.model), home=home) as engine:
            info = engine.info
            native = knows_tools(info.chat_template) and (options.native or info.parameters >= NATIVE_PARAMETERS)
            pick = choose_natively if native else choose
            started = time.perf_counter()
            pick(engine, TOOLS, "What time is it?")
            print(
                f"{info.model_name or 'model'}, {'its own template' if native else 'examples'}; the first choice ever"
            )
            print(f"took {time.perf_counter() - started:.2f} s (its examples are evaluated and kept)")
            for request in requests:
                started = time.perf_counter()
                call = pick(engine, TOOLS, request["text"])
                if suggested(request["text"]):
                    times_s.append(time.perf_counter() - started)
                count = counts[request["held_out"]]
                right = (call.tool.name if call else "") == request["tool"]
                count["all"] += 1
                count["gate"] += (suggested(request["text"])[:1] or [""])[0] == request["tool"]
                count["right"] += right
                count["whole"] += right and fits(call, request)
                count["called"] += call is not None
                # Calls are checked against their schema before they are given out: an invalid one is no call.
                count["valid"] += call is not None and call.tool.check(call.arguments) == call.arguments
                count["wrong act"] += call is not None and not right and call.tool.effect == "act"
                if not (right and fits(call, request)):
                    said = f"{call.tool.name} {call.arguments}" if call else "reply"
                    print(f"  {'held out' if request['held_out'] else 'seen':8}  {request['text']!r}: {said}")
    for held_out, count in counts.items():
        total = count["all"]
        print(
            f"{'held out' if held_out else 'seen'}: of {total}: patterns alone {count['gate']}, right tool or reply "
            f"{count['right']}, arguments too {count['whole']}; valid {count['valid']} of {count['called']} calls; "
            f"wrong acts proposed {count['wrong act']} (each asks first)"
        )
    print(f"a choice with its arguments: median {median(times_s):.2f} s")
    talk = [request["text"] for request in requests if not request["tool"]]
    started = time.perf_counter()
    for _ in range(1000):
        for text in talk:
            suggested(text)
    print(f"plain talk: {(time.perf_counter() - started) / 1000 / len(talk) * 1e6:.0f} microseconds of patterns a turn")


if __name__ == "__main__":
    main()
