"""Killing a worker at its n-th write-side system call, on a chosen thread.

strace counts calls for each traced thread by itself, so the threads of a worker are swept one at a time: it is attached
to just that one after the worker has warmed up.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

WRITES = (
    "write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,ftruncate,rename,renameat,renameat2,unlink,unlinkat,mkdir,"
    "fallocate"
)
WORKER = Path(__file__).with_name("worker.py")
TIMEOUT_S = 60


def missing():
    """Why a sweep cannot run here; None when it can."""
    if sys.platform != "linux" or shutil.which("strace") is None:
        return "strace is not installed: the kill sweep needs it to kill at a chosen system call"
    done = subprocess.run(
        ["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True, check=False, timeout=TIMEOUT_S
    )
    return None if done.returncode == 0 else f"strace may not trace here: {done.stderr.decode()[:100]}"


@dataclass(frozen=True)
class Run:
    """What a worker said before it ended, and whether it was killed."""

    acks: list
    killed: bool


def count_threads(face, operation, folder, durability):
    """How many threads the worker has once it is warm; it is then left to finish."""
    with _start(face, operation, folder, durability) as process:
        count = len(process.stdout.readline().split()) - 1
        process.communicate(b"g", timeout=TIMEOUT_S)
        return count


def run_killed(face, operation, folder, durability, thread, nth):
    """Run the worker and kill it at the ``nth`` write-side call of its thread number ``thread``."""
    with _start(face, operation, folder, durability) as process:
        ids = process.stdout.readline().split()[1:]
        if thread >= len(ids):  # Pools start threads as they need them: this run had one less than the warm one.
            out, _ = process.communicate(b"g", timeout=TIMEOUT_S)
            return _run(out, process.returncode)
        tracer = subprocess.Popen(
            ["strace", "-p", ids[thread].decode(), "-o", "/dev/null", "-e", f"trace={WRITES}",
             "-e", f"inject={WRITES}:signal=KILL:when={nth}"],
            stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            attached = tracer.stderr.readline()
            assert b"attached" in attached, attached
            out, _ = process.communicate(b"g", timeout=TIMEOUT_S)
        finally:
            tracer.stderr.close()
            tracer.terminate()
            tracer.wait(TIMEOUT_S)
        return _run(out, process.returncode)


def create_killed(folder, durability, nth):
    """Create a store in a new process that is killed at its ``nth`` write-side call."""
    tracer = [
        "strace",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        f"trace={WRITES}",
        "-e",
        f"inject={WRITES}:signal=KILL:when={nth}",
    ]
    command = [*tracer, sys.executable, "-B", str(WORKER), "sync", "create", str(folder), durability]
    done = subprocess.run(command, capture_output=True, check=False, timeout=TIMEOUT_S)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return _run(done.stdout, done.returncode)


def _start(face, operation, folder, durability):
    command = [sys.executable, "-B", str(WORKER), face, operation, str(folder), durability]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _run(out, status):
    acks = [int(line.split()[1]) for line in out.decode().splitlines() if line.startswith("ack ")]
    assert status in (0, -9, 137), f"the worker ended with {status}: {out.decode()}"
    return Run(acks, status != 0)
