"""Ways out for commands, everything agreed to: none shows a secret, writes outside, or leaves anything behind."""

import ctypes
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from yard import CANARY, Yard, tree

from molting_agent.tools import command

PYTHON = "python3 -c"
# None of these may do harm where a wall fails: bounded in number, aimed at files and processes of the test alone.
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
    "opens a disk": "for d in vda sda nvme0n1; do head -c 1 /dev/$d > d && [ -s d ] && echo {canary}; done; mknod m b 8 0 && echo {canary}",
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
    "kills the parent": "kill -9 {victim}",
    "ends another by its limits": PYTHON
    + " 'import resource; resource.prlimit({victim}, resource.RLIMIT_CPU, (1, 1)); print(\"{canary}\")'",
    "slows another down": PYTHON + " 'import os; os.setpriority(os.PRIO_PROCESS, {victim}, 19); print(\"{canary}\")'",
    "reads shared memory": PYTHON
    + " 'import ctypes; l=ctypes.CDLL(None); l.shmat.restype=ctypes.c_void_p; i=l.shmget({shm}, 0, 0);"
    + " print(ctypes.string_at(l.shmat(i, None, 4096)) if i >= 0 else 0)'",
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


@pytest.fixture
def shared_memory() -> Iterator[int]:
    """The key of a segment that any program of this person may read, with the canary in it."""
    libc = ctypes.CDLL(None)
    libc.shmat.restype = ctypes.c_void_p
    key = 0x4D000000 + os.getpid()
    segment = libc.shmget(key, 4096, 0o1600)  # IPC_CREAT
    assert segment >= 0
    address = libc.shmat(segment, None, 0)
    ctypes.memmove(address, CANARY.encode() + b"\0", len(CANARY) + 1)
    yield key
    libc.shmdt(ctypes.c_void_p(address))
    libc.shmctl(segment, 0, None)  # IPC_RMID


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
    shared_memory: int,
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
            shm=shared_memory,
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
    assert len(COMMANDS) >= 40
