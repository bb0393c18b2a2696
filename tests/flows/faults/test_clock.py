"""Clocks that jump: no content, and no decision, may hang on the time of day."""

import datetime
import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.faults

# What every program of a process tree asks for the time, CLOCK_REALTIME shifted once a file exists.
CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long jump(void) {
    return access(getenv("CLOCK_FLAG"), F_OK) == 0 ? atol(getenv("CLOCK_JUMP")) : 0;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += jump();
    return result;
}
time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}
"""


@pytest.fixture
def jumping(tmp_path):
    """Environment whose programs see the clock jump by so many seconds, and what makes it jump."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs Linux and a C compiler")
    source, library, flag = (tmp_path / name for name in ("clock.c", "clock.so", "jumped"))
    source.write_text(CLOCK)
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True
    )

    def environment(seconds):
        return {
            "LD_PRELOAD": str(library),
            "CLOCK_FLAG": str(flag),
            "CLOCK_JUMP": str(seconds),
        }

    return environment, flag.touch


def seen_in(environment):
    """The time as a program of that environment sees it."""
    code = "import datetime; print(datetime.datetime.now(datetime.UTC).isoformat())"
    shown = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True
    )
    return datetime.datetime.fromisoformat(shown.stdout.strip())


def jump_while_it_trains(bench, jumping, seconds):
    environment, jump = jumping
    bench.environment |= environment(seconds)
    run = bench.start()
    bench.wait_for(lambda: list(bench.folder.glob("networks/*/last.ckpt")), run)
    jump()
    shift = seen_in(environment(seconds)) - datetime.datetime.now(datetime.UTC)
    assert abs(shift.total_seconds() - seconds) < 60
    code, said = bench.end(run)
    assert code == 0, said
    bench.row.said = "(nothing)"
    bench.row.prefect = bench.prefect_state()
    assert bench.row.prefect == "Completed"
    for name in environment(0):
        del bench.environment[name]
    bench.mend()


def test_clock_jumps_back(bench, jumping):
    """The clock jumps a day back while it trains."""
    jump_while_it_trains(bench, jumping, -86400)


def test_clock_jumps_on(bench, jumping):
    """The clock jumps 400 days on while it trains."""
    jump_while_it_trains(bench, jumping, 400 * 86400)
