"""The process around one confined command: it sets limits and walls, watches, and leaves nothing behind.

Started as ``python -m molting_agent.tools.cage`` with an Order as JSON on stdin. What the command says goes to stdout
as far as the order allows; a Report as JSON goes to stderr at the end.
"""

import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

_PDEATHSIG, _SUBREAPER, _NO_NEW_PRIVS, _CAPBSET_DROP, _DUMPABLE = 1, 36, 38, 24, 4
_LAST_CAPABILITY = 63
WATCH_S = 0.02
GRACE_S = 30.0
"""How long is tried to end what was left; a process that cannot be killed must not hold the turn for ever."""
_NEW_USER, _NEW_PID = 0x10000000, 0x20000000


@dataclass(frozen=True, slots=True)
class Order:
    """What to run within which limits. ``wall``: bubblewrap or landlock; ``command`` begins with bubblewrap's own."""

    wall: str
    command: list[str]
    cwd: str
    environment: dict[str, str]
    readable: list[str]
    writable: list[str]
    timeout_s: float
    memory_mib: int
    processes: int
    output_bytes: int
    file_mib: int = 64


@dataclass(slots=True)
class Report:
    """How it ended: ``code`` is the exit code (negative: a signal), ``stopped`` why it was ended, else ""."""

    code: int = 0
    stopped: str = ""
    error: str = ""


def main() -> int:
    order = Order(**json.loads(sys.stdin.buffer.read()))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_SUBREAPER, 1, 0, 0, 0)  # children that leave their parent come to us, not to init
    libc.prctl(_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    libc.prctl(_DUMPABLE, 0, 0, 0, 0)  # nobody reads this process's memory or environment
    ended: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: ended.append(number))
    if order.wall == "landlock":
        try:
            _own_processes(libc)
        except OSError as error:
            sys.stderr.write(json.dumps(asdict(Report(error=f"no process namespace, and nothing binds root: {error}"))))
            return 0
    read, write = os.pipe()
    failed_read, failed_write = os.pipe()
    child = os.fork()
    if child == 0:
        _become(order, libc, write, failed_write)
    os.close(write)
    os.close(failed_write)
    report = _watch(order, child, read, ended)
    os.set_blocking(failed_read, False)
    if why := _read(failed_read, 4096):
        report.error = why.decode("utf-8", "replace")
    sys.stderr.write(json.dumps(asdict(report)))
    return 0


def _own_processes(libc: Any) -> None:
    """Let the next child be the first process of a namespace: when it is killed, so is all that came of it, at once.

    Without one a fork bomb is faster than whoever kills its processes one by one. RLIMIT_NPROC stops it too, but does
    not bind root: so root needs the namespace, and others go on where the kernel gives them none. Errors: OSError.
    """
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        _check(libc.unshare(_NEW_PID))
    elif libc.unshare(_NEW_USER | _NEW_PID) == 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _become(order: Order, libc: Any, output: int, failed: int) -> NoReturn:
    """In the child: walls, limits, and then the command itself."""
    try:
        os.setsid()
        null = os.open("/dev/null", os.O_RDONLY)
        for source, target in ((null, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        os.set_inheritable(failed, False)
        _limit(order)
        _check(libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
        command = list(order.command)
        keep = {0, 1, 2, failed}
        if order.wall == "bubblewrap":
            filter_read, filter_write = os.pipe()
            from molting_agent.tools.seccomp import program

            os.write(filter_write, program(attributes=False, signals=False))
            os.close(filter_write)
            os.set_inheritable(filter_read, True)
            command = [command[0], "--seccomp", str(filter_read), *command[1:]]
            keep.add(filter_read)
        for descriptor in _open_descriptors() - keep:
            os.close(descriptor)
        if order.wall == "landlock":
            os.chdir(order.cwd)
            _landlock(order, libc)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.execve(command[0], command, order.environment)  # noqa: S606 - the shell is in the command
    except BaseException as error:
        os.write(failed, f"{type(error).__name__}: {error}".encode()[:2000])
    finally:
        os._exit(127)


def _landlock(order: Order, libc: Any) -> None:
    from molting_agent.tools import landlock, seccomp

    landlock.restrict(map(Path, order.readable), map(Path, order.writable))
    # Of root nothing but the name may be left: without its bounding set it gains no capability by exec.
    for capability in range(_LAST_CAPABILITY + 1):
        libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)
    seccomp.install(seccomp.program(attributes=True, signals=landlock.abi() < landlock.SIGNALS_ABI))


def _limit(order: Order) -> None:
    memory = order.memory_mib * 1024 * 1024
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_CPU: int(order.timeout_s) + 1,
        resource.RLIMIT_FSIZE: order.file_mib * 1024 * 1024,
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_CORE: 0,
        # Counts all processes of this user, and does not bind root: the watch counts the command's own.
        resource.RLIMIT_NPROC: len(_processes(os.getuid())) + order.processes,
    }
    for what, value in limits.items():
        hard = resource.getrlimit(what)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (most, most))


def _watch(order: Order, child: int, output: int, ended: list[int]) -> Report:
    """Pass output on until the command ends or must end; then end whatever it left running."""
    report = Report()
    until = time.monotonic() + order.timeout_s
    left, is_open, done = order.output_bytes, True, False
    os.set_blocking(output, False)
    while not done and not report.stopped:
        if is_open:
            select.select([output], [], [], WATCH_S)
            data = _read(output, 65536)
            is_open = data is None or data != b""
            sys.stdout.buffer.write((data or b"")[:left])
            sys.stdout.buffer.flush()
            left -= len(data or b"")
        else:
            time.sleep(WATCH_S)
        family = descendants(os.getpid())
        if left < 0:
            report.stopped = f"it said more than {order.output_bytes // 1000:,} kB"
        elif ended:
            report.stopped = "it was stopped"
        elif time.monotonic() > until:
            report.stopped = f"it took more than {order.timeout_s:g} s"
        elif len(family) > order.processes:
            report.stopped = f"it made more than {order.processes} processes"
        elif _resident_mib(family) > order.memory_mib:
            report.stopped = f"it took more than {order.memory_mib:,} MiB of memory"
        ended_child = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended_child is not None:
            done, status = True, ended_child.si_status
            report.code = status if ended_child.si_code == os.CLD_EXITED else -status
    end_all(child)
    while left > 0 and (data := _read(output, 65536)):
        sys.stdout.buffer.write(data[:left])
        left -= len(data)
    sys.stdout.buffer.flush()
    return report


def end_all(child: int) -> None:
    """Kill the command with its namespace and its group, which no new process escapes, then what left the group.

    Nothing is reaped here: the numbers of the dead stay taken until the cage ends, so that no signal meets a stranger.
    """
    until = time.monotonic() + GRACE_S
    while (family := descendants(os.getpid())) and time.monotonic() < until:
        for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGKILL):
            for send, target in ((os.kill, child), (os.killpg, child), *((os.kill, pid) for pid in family)):
                try:
                    send(target, number)
                except (ProcessLookupError, PermissionError):
                    continue


def descendants(root: int) -> list[int]:
    """Processes below ``root``, zombies left out."""
    children: dict[int, list[int]] = {}
    dead: set[int] = set()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                stat = Path(entry.path, "stat").read_text()
            except OSError:
                continue
            state, parent = stat.rpartition(")")[2].split()[:2]
            children.setdefault(int(parent), []).append(int(entry.name))
            if state == "Z":
                dead.add(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return [pid for pid in found if pid not in dead]


def _processes(user: int) -> list[str]:
    found = []
    for entry in os.scandir("/proc"):
        try:
            if entry.name.isdigit() and entry.stat().st_uid == user:
                found.append(entry.name)
        except OSError:
            continue
    return found


def _resident_mib(pids: list[int]) -> float:
    pages = 0
    for pid in pids:
        try:
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
    return pages * resource.getpagesize() / 2**20


def _read(descriptor: int, size: int) -> bytes | None:
    """What is there; b"" at the end, None when nothing is there yet."""
    try:
        return os.read(descriptor, size)
    except BlockingIOError:
        return None


def _open_descriptors() -> set[int]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            os.fstat(int(entry.name))
        except OSError:
            continue
        found.add(int(entry.name))
    return found


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    sys.exit(main())
