"""Scrubbing beside the detectors it could have been: recall on planted secrets, false positives, and speed.

.venv/bin/python benchmarks/scrub.py [--clean FOLDER] [--with NAME=PATH]...

FOLDER holds transcripts without secrets, read beside the look-alikes of the tests. PATH is where another detector lies:
for detect-secrets and bc-detect-secrets a folder of `pip install --target` (detect-secrets: as it reads a string;
detect-secrets-files: as it reads files, where it asks for quotes), for kingfisher its program. Each detector runs in a
process of its own, on one core, and never asks a service about what it finds.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
SETS = ("planted", "unseen", "third")
Find = Callable[[Sequence[str]], list[list[str]]]


def ours() -> Find:
    from memory.scrub import Scrubber
    from memory.scrub.scrubber import PLACEHOLDER

    def find(texts: Sequence[str]) -> list[list[str]]:
        found = []
        for text in texts:
            scrubber = Scrubber()
            result = scrubber.scrub(text)
            values = {p: value for value, p in scrubber._placeholders.items()}
            kinds = (m for m in PLACEHOLDER.finditer(result.text) if m[1] not in ("EMAIL", "PHONE"))
            found.append([values[m[0]] for m in kinds if m[0] in values])
        return found

    return find


def betterleaks() -> Find:
    from betterleaks import scan_string

    def values(text: str) -> list[str]:
        findings = scan_string(text.encode("utf-8", "replace").decode().replace("\0", " "))
        parts = [p["match"]["value"] for f in findings for s in f.component_sets for p in s["components"]]
        return [f.secret for f in findings] + parts

    return lambda texts: [values(text) for text in texts]


def detect_secrets(path: str) -> Find:
    sys.path.insert(0, path)
    from detect_secrets.core.scan import scan_line  # type: ignore[import-not-found]
    from detect_secrets.settings import default_settings  # type: ignore[import-not-found]

    def find(texts: Sequence[str]) -> list[list[str]]:
        with default_settings():
            return [
                [s.secret_value for line in t.split("\n") for s in scan_line(line) if s.secret_value] for t in texts
            ]

    return find


def detect_secrets_files(path: str) -> Find:
    sys.path.insert(0, path)
    from detect_secrets.core.scan import scan_file  # type: ignore[import-not-found]
    from detect_secrets.settings import default_settings  # type: ignore[import-not-found]

    def find(texts: Sequence[str]) -> list[list[str]]:
        found = []
        with tempfile.TemporaryDirectory() as folder, default_settings():
            for number, text in enumerate(texts):
                file = Path(folder) / f"{number}.py"
                file.write_text(text, encoding="utf-8", errors="replace")
                found.append([s.secret_value for s in scan_file(str(file)) if s.secret_value])
        return found

    return find


def kingfisher(program: str) -> Find:
    options = ["--no-validate", "--no-update-check", "--no-dedup", "--git-history", "none", "--confidence", "low"]

    def find(texts: Sequence[str]) -> list[list[str]]:
        with tempfile.TemporaryDirectory() as folder:
            for number, text in enumerate(texts):
                (Path(folder) / f"{number}.txt").write_text(text, encoding="utf-8", errors="replace")
            command = [program, "scan", folder, "--format", "json", *options]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        report = json.JSONDecoder().raw_decode(done.stdout)[0]
        found: list[list[str]] = [[] for _ in texts]
        for finding in report["findings"] if isinstance(report, dict) else report:
            found[int(Path(finding["finding"]["path"]).stem)].append(finding["finding"]["snippet"])
        return found

    return find


def measure(name: str, find: Find, clean: list[str]) -> dict[str, object]:
    """Recall by set, the share of clean messages touched, and MB of clean text a second of this process's time."""
    from fixtures.secrets.planted import leaks, planted
    from fixtures.secrets.third import third
    from fixtures.secrets.unseen import unseen

    row: dict[str, object] = {"name": name}
    for label, items in (("planted", list(planted())), ("unseen", list(unseen())), ("third", list(third()))):
        hits = {True: [0, 0], False: [0, 0]}
        for item, values in zip(items, find([i.text for i in items]), strict=True):
            text = item.text
            for value in sorted(filter(None, values), key=len, reverse=True):
                text = text.replace(value, "[X]")
            hits[item.known][0] += not leaks(item, text)
            hits[item.known][1] += 1
        row[label] = " / ".join(f"{good / count:.3f}" for good, count in (hits[True], hits[False]))
    started = time.process_time()
    touched = sum(map(bool, find(clean)))
    cpu_s = time.process_time() - started
    row["false"] = f"{touched / len(clean):.1%}"
    row["MB/s"] = (
        "-" if name == "kingfisher" else f"{sum(len(c.encode('utf-8', 'replace')) for c in clean) / 1e6 / cpu_s:.2f}"
    )
    return row


def clean_messages(folder: str) -> list[str]:
    """Look-alikes, the talks of the tests, and every text of the transcripts of ``folder``, tool results included."""
    from fixtures.secrets.lookalikes import lookalikes

    texts = list(lookalikes())
    for root in filter(None, (str(ROOT / "tests/fixtures/claudio"), folder)):
        for path in sorted(Path(root).rglob("*.jsonl")):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                texts += _strings(line)
    return texts


def _strings(line: str) -> list[str]:
    try:
        content = (json.loads(line).get("message") or {}).get("content")
    except (ValueError, AttributeError):
        return []
    blocks = content if isinstance(content, list) else [{"text": content}]
    values = [b.get(key) for b in blocks if isinstance(b, dict) for key in ("text", "thinking", "content")]
    return [v for v in values if isinstance(v, str) and v.strip()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clean", default="", metavar="FOLDER")
    parser.add_argument("--with", dest="others", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--only", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    if options.only:
        name, _, path = options.only.partition("=")
        makers: dict[str, Callable[[], Find]] = {"ours": ours, "betterleaks": betterleaks}
        others = {
            "kingfisher": kingfisher,
            "detect-secrets-files": detect_secrets_files,
            "bc-detect-secrets-files": detect_secrets_files,
        }
        maker = makers.get(name) or (lambda: others.get(name, detect_secrets)(path))
        clean = clean_messages(options.clean)
        if "detect-secrets" in name:  # they read a tenth of a megabyte a second
            clean = clean[:: max(1, len(clean) // 1000)]
        find = maker()
        find(["warm: ghp_x, tel 912345678"])
        print(json.dumps(measure(name, find, clean)))
        return
    print("| detector | planted: known / generic | unseen | third | clean touched | MB/s |\n|---|---|---|---|---|---|")
    for name in ("ours", "betterleaks", *options.others):
        command = [sys.executable, __file__, "--only", name, "--clean", options.clean]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        row = json.loads(done.stdout.splitlines()[-1])
        print("| " + " | ".join(str(row[key]) for key in ("name", *SETS, "false", "MB/s")) + " |", flush=True)


if __name__ == "__main__":
    main()
