"""Ways out for the file tools, everything agreed to: none shows a secret or writes outside the allowed folders."""

import os
import socket
import threading
from pathlib import Path

import pytest
from yard import CANARY, Yard, tree

from molting_agent.tools import command, paths
from molting_agent.tools.acting import asks
from molting_agent.tools.registry import TOOLS
from molting_agent.tools.tool import ToolError

READS = {
    "dots": lambda yard: "../outside/secret.txt",
    "dots in the middle": lambda yard: "sub/../../outside/secret.txt",
    "absolute": lambda yard: str(yard.outside / "secret.txt"),
    "tilde": lambda yard: "~/diary.txt",
    "link to a file": lambda yard: link(yard.work / "l.txt", yard.outside / "secret.txt"),
    "link to a folder": lambda yard: link(yard.work / "d", yard.outside) + "/secret.txt",
    "link to a link": lambda yard: link(yard.work / "b", Path(link(yard.work / "a", yard.outside))) + "/secret.txt",
    "/proc/self/root": lambda yard: f"/proc/self/root{yard.outside}/secret.txt",
    "link to /proc/self/root": lambda yard: (
        link(yard.work / "p", Path("/proc/self/root")) + f"{yard.outside}/secret.txt"
    ),
    "/etc/passwd": lambda yard: "/etc/passwd",
}
NEVER = {
    "~/.ssh": lambda yard: "~/.ssh/id_ed25519",
    "keys through a link": lambda yard: link(yard.work / "k", yard.person / ".ssh") + "/id_ed25519",
    ".env in the folder": lambda yard: ".env",
    "/etc/shadow": lambda yard: "/etc/shadow",
    "/proc/self/environ": lambda yard: "/proc/self/environ",
    "/proc/1/environ": lambda yard: "/proc/1/environ",
    "/dev/mem": lambda yard: "/dev/mem",
    "/dev/stdin": lambda yard: "/dev/stdin",
    "/dev/fd": lambda yard: "/dev/fd/0",
    "/sys": lambda yard: "/sys/kernel/notes",
    "hard link": lambda yard: hard_link(yard.work / "h.txt", yard.outside / "secret.txt"),
    "fifo": lambda yard: fifo(yard.work / "f.txt"),
    "socket": lambda yard: unix_socket(yard.work / "s.txt"),
    "device through a link": lambda yard: link(yard.work / "z.txt", Path("/dev/zero")),
    "loop of links": lambda yard: link(yard.work / "x", yard.work / "x"),
    "a byte 0": lambda yard: "notes.txt\0.png",
    "binary": lambda yard: binary(yard.work / "b.txt"),
    "too large": lambda yard: large(yard.work / "g.txt"),
}


def link(path: Path, target: Path) -> str:
    path.symlink_to(target)
    return str(path)


def hard_link(path: Path, target: Path) -> str:
    path.hardlink_to(target)
    return str(path)


def fifo(path: Path) -> str:
    os.mkfifo(path)
    return str(path)


def unix_socket(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path) if len(str(path)) > 100 else str(path))
    return str(path)


def binary(path: Path) -> str:
    path.write_bytes(b"\x7fELF\0" + CANARY.encode())
    return str(path)


def large(path: Path) -> str:
    path.write_text(CANARY * (paths.FILE_LIMIT_BYTES // len(CANARY) + 1))
    return str(path)


@pytest.mark.parametrize("way", READS)
def test_a_look_outside_the_folders_asks_first(way: str, yard: Yard) -> None:
    tool = TOOLS["read_file"]
    try:
        settled = tool.settle(yard.place, tool.check({"path": READS[way](yard)}))
    except ToolError:
        return  # refused outright
    assert asks(tool, yard.place, settled)
    assert not settled["path"].startswith(str(yard.work)), "the person sees where it really is"


@pytest.mark.parametrize("way", NEVER)
def test_some_files_are_never_read_whoever_agrees(way: str, yard: Yard) -> None:
    outcome = yard.use("read_file", path=NEVER[way](yard))
    assert not outcome.ok
    assert CANARY not in outcome.text


@pytest.mark.parametrize("name", ["read_file", "list_folder", "search_files"])
def test_a_folder_swapped_for_a_link_is_not_followed(name: str, yard: Yard) -> None:
    """One thread swaps a folder for a link that leads outside, the other looks into it again and again."""
    (yard.work / "swap").mkdir()
    (yard.work / "swap" / "secret.txt").write_text("nothing here\n")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            (yard.work / "swap").rename(yard.work / "real")
            (yard.work / "swap").symlink_to(yard.outside)
            (yard.work / "swap").unlink()
            (yard.work / "real").rename(yard.work / "swap")

    thread = threading.Thread(target=swap)
    thread.start()
    tool = TOOLS[name]
    seen = []
    try:
        for _ in range(300):
            arguments = {"path": "swap/secret.txt"} if name == "read_file" else {"path": "swap"}
            if name == "search_files":
                arguments["text"] = "CANARY"
            try:
                settled = tool.settle(yard.place, tool.check(arguments))
            except ToolError:
                continue
            if asks(tool, yard.place, settled):
                continue  # at that moment it was a link: a person would be asked about the other folder
            seen.append(tool.run(yard.place, settled).text)
    finally:
        over.set()
        thread.join()
    assert seen
    assert not any(CANARY in text for text in seen)


WRITES = {
    "dots": lambda yard: "../outside/new.txt",
    "absolute": lambda yard: str(yard.outside / "new.txt"),
    "link to a file": lambda yard: link(yard.work / "l.txt", yard.outside / "secret.txt"),
    "dangling link": lambda yard: link(yard.work / "n.txt", yard.outside / "new.txt"),
    "link to a folder": lambda yard: link(yard.work / "d", yard.outside) + "/new.txt",
    "hard link": lambda yard: hard_link(yard.work / "h.txt", yard.outside / "secret.txt"),
    "config.toml": lambda yard: str(yard.home.config_file),
    "a session": lambda yard: str(yard.home.sessions_dir / "x.jsonl"),
    "a molt": lambda yard: str(yard.home.molts_dir / "current"),
    "MEMORY.md": lambda yard: str(yard.home.memory_file),
    "~/.ssh": lambda yard: "~/.ssh/authorized_keys",
    "~/.bashrc": lambda yard: "~/.bashrc",
    "a hook of git": lambda yard: git_hook(yard),
    "fifo": lambda yard: fifo(yard.work / "f.txt"),
    "/dev/null": lambda yard: "/dev/null",
    "a folder": lambda yard: "sub",
    "no such folder": lambda yard: "none/new.txt",
}


def git_hook(yard: Yard) -> str:
    (yard.work / ".git" / "hooks").mkdir(parents=True)
    return ".git/hooks/pre-commit"


@pytest.mark.parametrize("way", WRITES)
def test_nothing_is_written_outside_whoever_agrees(way: str, yard: Yard) -> None:
    path = WRITES[way](yard)
    before = tree(yard.root)
    outcome = yard.use("write_file", path=path, text="overwritten")
    assert not outcome.ok, outcome.text
    assert tree(yard.root) == before


def test_the_home_is_not_written_even_where_it_is_an_allowed_folder(yard: Yard) -> None:
    import dataclasses

    yard.place = dataclasses.replace(yard.place, folders=(yard.person,), cwd=yard.person)
    for path in ("molting/config.toml", "molting/sessions/x.jsonl", "molting/molts/current"):
        assert not yard.use("write_file", path=path, text="x").ok
    assert command.writable_folders(yard.place) == []
