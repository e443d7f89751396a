"""Ways out, tried one by one, everything agreed to: none may show a secret, write outside, or leave anything behind."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from yard import CANARY, Yard

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


def tree(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below ``root`` with its mode and content."""
    return {
        str(path): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(root.rglob("*"))
        if not path.is_fifo() and not path.is_symlink()
    }


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


# -- commands -------------------------------------------------------------------------------------------------------

PYTHON = "python3 -c"
COMMANDS: dict[str, str] = {
    "reads outside": "cat {outside}/secret.txt",
    "reads keys": "cat {person}/.ssh/id_ed25519 ~/.ssh/* {person}/diary.txt",
    "lists the person's home": "ls -laR {person} && echo " + CANARY,
    "reads through dots": "cat ../outside/secret.txt",
    "reads through a link it makes": "ln -s {outside}/secret.txt l; cat l",
    "reads through a hard link it makes": "ln {outside}/secret.txt h && cat h",
    "reads through /proc/self/root": "cat /proc/self/root{outside}/secret.txt",
    "reads through /proc/1/root": "cat /proc/1/root{outside}/secret.txt",
    "reads through cwd of others": "cat /proc/*/cwd/secret.txt /proc/*/root{outside}/secret.txt",
    "environment": "env; cat /proc/self/environ; set",
    "environment of the parent": "cat /proc/$PPID/environ /proc/*/environ | tr '\\0' '\\n'",
    "shadow": "cat /etc/shadow && echo " + CANARY,
    "writes outside": "echo x > {outside}/new.txt",
    "writes through a link": "ln -s {outside} d; echo x > d/new.txt",
    "appends to a file outside": "echo x >> {outside}/secret.txt",
    "truncates a file outside": PYTHON + " 'import os; os.truncate(\"{outside}/secret.txt\", 0)'",
    "removes a file outside": "rm -rf {outside}/secret.txt {outside}",
    "moves a file outside": "mv notes.txt {outside}/",
    "changes modes outside": "chmod 777 {outside}/secret.txt {person}/.ssh",
    "changes times outside": "touch -d 2001-01-01 {outside}/secret.txt",
    "writes config.toml": "echo x >> {home}/config.toml",
    "writes a session": "echo x > {home}/sessions/x.jsonl",
    "writes a molt": "mkdir -p {home}/molts/0009; echo x > {home}/molts/current",
    "writes /etc": "echo x > /etc/molting-evil || cp notes.txt /usr/bin/molting-evil",
    "writes a device": "dd if=/dev/zero of=/dev/vda count=1 || dd if=/dev/zero of=/dev/sda count=1; mknod m b 8 0 && echo "
    + CANARY,
    "IPv4": PYTHON + ' \'import socket; s=socket.create_connection(("127.0.0.1", {port}), 2); s.send(b"{canary}")\'',
    "IPv6": PYTHON + ' \'import socket; s=socket.create_connection(("::1", {port6}), 2); s.send(b"{canary}")\'',
    "UDP": PYTHON
    + ' \'import socket; socket.socket(2, 2).sendto(b"{canary}", ("127.0.0.1", {udp})); print("{canary}")\'',
    "unix socket": PYTHON + ' \'import socket; s=socket.socket(1); s.connect("{sock}"); s.send(b"{canary}")\'',
    "abstract socket": PYTHON
    + ' \'import socket; s=socket.socket(1); s.connect("\\0molting-{port}"); s.send(b"{canary}")\'',
    "DNS": PYTHON
    + ' \'import socket; print(socket.getaddrinfo("localhost", 80)); socket.socket(2,2); print("{canary}")\'',
    "raw socket": PYTHON + " 'import socket; socket.socket(17, 3, 3); print(\"{canary}\")'",
    "io_uring": PYTHON
    + " 'import ctypes; l=ctypes.CDLL(None); print(\"{canary}\" if l.syscall(425, 8, ctypes.create_string_buffer(200)) >= 0 else 0)'",
    "new namespaces": "unshare -Urm true && echo " + CANARY,
    "mounts": "mount -t tmpfs none sub && echo " + CANARY,
    "leaves by chroot": "chroot / true && echo " + CANARY,
    "ptraces": PYTHON
    + " 'import ctypes; l=ctypes.CDLL(None); print(\"{canary}\" if l.ptrace(16, {pid}, 0, 0) == 0 else 0)'",
    "reads memory of the parent": "dd if=/proc/{pid}/mem count=1 bs=1 && echo " + CANARY,
    "kills the parent": "kill -9 {victim}; kill -9 -1",
    "types into the terminal": PYTHON
    + ' \'import fcntl, termios; [fcntl.ioctl(open("/dev/tty", "w"), termios.TIOCSTI, b"x"), print("{canary}")]\'',
    "types into another terminal": PYTHON
    + ' \'import fcntl, termios; [fcntl.ioctl(open("{tty}", "w"), termios.TIOCSTI, b"x"), print("{canary}")]\'',
    "setuid": "su -c true </dev/null && echo {canary}; "
    + PYTHON
    + " 'import os; os.setgroups([]); print(\"{canary}\")'",
    "gains capabilities": "grep CapEff /proc/self/status | grep -v 0000000000000000 && echo " + CANARY,
    "inherits descriptors": "ls /proc/self/fd | grep -v '^[0123]$' && cat /proc/self/fd/[4-9] && echo " + CANARY,
    "leaves children": "sleep 31.7 & setsid sleep 31.7 & nohup sleep 31.7 & (sleep 31.7 &) ; echo started",
    "leaves a daemon": PYTHON
    + " 'import os,time; (os.fork() or (os.setsid(), os.fork() or (os.close(1), os.close(2), time.sleep(31.7))))'",
    # Doubles eight times and no further: if a wall should fail, the machine of whoever runs this test must not.
    "fork bomb": "b() {{ if [ $1 -gt 0 ]; then b $(($1-1)) & b $(($1-1)) & fi; sleep 31.7; }}; b 8",
    "many processes": "for i in $(seq 300); do sleep 31.7 & done; wait",
    "memory": PYTHON + " 'x = bytearray(10**9); print(\"{canary}\")'",
    "memory of many": "for i in 1 2 3 4 5 6; do "
    + PYTHON
    + " 'x = bytearray(200 * 10**6); import time; time.sleep(20); print(\"{canary}\")' & done; wait",
    "output flood": "yes {flood}",
    "sleeps for ever": "sleep 31.7",
    "spins for ever": "while :; do :; done",
    "ignores signals": "trap '' TERM INT HUP; while :; do sleep 31.7; done",
    "fills a file": "head -c 200000000 /dev/zero > big; ls -l big | grep 200000000 && echo " + CANARY,
}


@pytest.fixture(params=["bubblewrap", "landlock"])
def wall(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each wall that works here; the other one is not tried."""
    if not works(request.param):
        pytest.skip(f"{request.param} does not work on this machine")
    monkeypatch.setattr(command, "which_wall", lambda: request.param)
    return str(request.param)


WORKS: dict[str, bool] = {}


def works(wall: str) -> bool:
    if wall not in WORKS:
        WORKS[wall] = command.wall_works(wall)
    return WORKS[wall]


class Listeners:
    """Sockets of every kind that a command could reach; ``heard`` is what came."""

    def __init__(self, folder: Path) -> None:
        self.heard = b""
        self.port = self._listen(socket.AF_INET, ("127.0.0.1", 0))
        self.port6 = self._listen(socket.AF_INET6, ("::1", 0))
        self.unix = folder / "s"
        self._listen(socket.AF_UNIX, str(self.unix))
        self._listen(socket.AF_UNIX, f"\0molting-{self.port}")
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("127.0.0.1", 0))
        self.udp = datagrams.getsockname()[1]
        threading.Thread(target=self._hear, args=(datagrams,), daemon=True).start()

    def _listen(self, family: int, address: object) -> int:
        try:
            server = socket.socket(family)
            server.bind(address)  # type: ignore[arg-type]
        except OSError:  # a machine without IPv6
            return 9
        server.listen()
        threading.Thread(target=self._accept, args=(server,), daemon=True).start()
        name = server.getsockname()
        return int(name[1]) if family != socket.AF_UNIX else 0

    def _accept(self, server: socket.socket) -> None:
        while True:
            self._hear(server.accept()[0])

    def _hear(self, connection: socket.socket) -> None:
        self.heard += connection.recv(1000)


@pytest.fixture
def listeners(yard: Yard) -> Listeners:
    return Listeners(yard.work)


@pytest.fixture
def terminal() -> Iterator[str]:
    import pty

    master, slave = pty.openpty()
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


@pytest.fixture
def victim() -> Iterator[int]:
    import subprocess

    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        assert process.poll() is None, "a command killed another program"
        process.kill()


def run(yard: Yard, text: str) -> str:
    return yard.use("run_command", command=text).text


@pytest.mark.parametrize("way", COMMANDS)
def test_no_command_gets_out(
    way: str,
    wall: str,
    yard: Yard,
    listeners: Listeners,
    terminal: str,
    victim: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    before = (tree(yard.outside), tree(yard.person), (yard.outside / "secret.txt").stat().st_mtime)
    said = run(
        yard,
        COMMANDS[way].format(
            outside=yard.outside,
            person=yard.person,
            home=yard.home.root,
            port=listeners.port,
            port6=listeners.port6,
            udp=listeners.udp,
            sock=listeners.unix,
            canary="CANARY-7f3a-" + "must-not-be-seen",
            pid=os.getpid(),
            victim=victim,
            tty=terminal,
            flood="flood",
        ),
    )
    assert CANARY not in said
    assert listeners.heard == b""
    assert (tree(yard.outside), tree(yard.person), (yard.outside / "secret.txt").stat().st_mtime) == before
    assert not Path("/etc/molting-evil").exists()
    assert not Path("/usr/bin/molting-evil").exists()
    assert len(said) < command.OUTPUT_BYTES + 1000
    assert not alive("31.7")


def alive(argument: str) -> list[str]:
    """Processes with this word on their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0] if words else "Z"
        except OSError:
            continue
        if argument.encode() in words and state != "Z":
            found.append(entry.name)
    return found


def test_useful_commands_work_behind_each_wall(wall: str, yard: Yard) -> None:
    assert "Marta" in run(yard, "grep -r Marta . | sort")
    assert run(yard, "echo new > made.txt && cat made.txt") == "new"
    assert (yard.work / "made.txt").read_text() == "new\n"
    assert run(yard, "pwd") == str(yard.work)
    assert "[exit code 3]" in run(yard, "exit 3")
    assert run(yard, "true") == "[done; it said nothing]"


def test_a_stopped_turn_ends_its_command(wall: str, yard: Yard) -> None:
    import dataclasses

    stop = threading.Event()
    yard.place = dataclasses.replace(yard.place, timeout_s=60.0, is_stopped=stop.is_set)
    threading.Timer(0.5, stop.set).start()
    assert "it was stopped" in run(yard, "sleep 31.7")
    assert not alive("31.7")


def test_where_no_wall_works_no_command_runs(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "which_wall", lambda: "")
    outcome = yard.use("run_command", command="echo ran > ran.txt")
    assert not outcome.ok
    assert "no command is run" in outcome.text
    assert not (yard.work / "ran.txt").exists()


def test_an_order_that_cannot_be_walled_is_not_run(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "which_wall", lambda: "bubblewrap")
    monkeypatch.setattr(command.shutil, "which", lambda _name: "/nonexistent/bwrap")
    outcome = yard.use("run_command", command="echo ran > ran.txt")
    assert "was not run" in outcome.text
    assert not (yard.work / "ran.txt").exists()


def test_there_are_more_than_forty_ways() -> None:
    assert len(READS) + len(NEVER) + len(WRITES) + len(COMMANDS) >= 40
