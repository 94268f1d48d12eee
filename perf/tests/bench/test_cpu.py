import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from infermesh_perf import cpu

#: Says when it has used a tenth of a second, then waits for the end of its input.
BUSY = """
import sys, threading, time
def busy():
    while time.thread_time() < 0.1:
        pass
thread = threading.Thread(target=busy)
thread.start()
thread.join()
print("done", flush=True)
sys.stdin.read()
"""


def test_threads_that_have_ended_count_and_waiting_does_not() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        used = cpu.of_process(process.pid)
        # Of the kernel's other account, which is in ticks.
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        process.stdin.close()

    assert used > 0.1
    assert used == pytest.approx(ticks, abs=2 / os.sysconf("SC_CLK_TCK"))


def test_descendants_count() -> None:
    before = cpu.of_tree(os.getpid())
    with subprocess.Popen(
        [sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        with_child = cpu.of_tree(os.getpid()) - before
        own = cpu.of_process(os.getpid())
        process.stdin.close()

    assert with_child > 0.1
    assert own <= time.process_time()


def test_no_such_process_is_named() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    with pytest.raises(OSError, match=f"no clock of process {process.pid}"):
        cpu.of_process(process.pid)
