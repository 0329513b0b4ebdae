"""A separate program that starts processes, waits for them, and reports the cost of each.

A child inherits its parent's peak of memory through vfork and exec on Linux, so it never seems
smaller than its parent. So this program is compiled before, runs with `python -I -S`, and imports
only modules that such a Python has loaded already.

stdin has marshalled jobs: argv, environment, directory, the files for stdout and stderr, and the
number of copies. stdout gets a line for each started process, its PID and time, and then one for
each ended process: time, wait status, CPU time and peak of memory. Times are of the monotonic
clock, which all processes share, in nanoseconds; CPU is in microseconds, memory in KiB.
"""

import marshal
import posix
import sys
import time

MODE = 0o600


def main() -> None:
    """Run one job after the other until stdin ends."""
    while True:
        try:
            job = marshal.load(sys.stdin.buffer)  # noqa: S302  # json would add memory
        except EOFError:
            return
        argv, environ, directory, out, errors, copies = job
        posix.chdir(directory)
        # Append only, so that many processes can write to one file.
        writing = posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND
        streams = [
            (posix.POSIX_SPAWN_OPEN, 0, "/dev/null", posix.O_RDONLY, MODE),
            (posix.POSIX_SPAWN_OPEN, 1, out, writing, MODE),
            (posix.POSIX_SPAWN_OPEN, 2, errors, writing, MODE),
        ]
        started_processes = []
        for _ in range(copies):
            started = time.monotonic_ns()
            # A separate process group, so that the children of a shell end with the shell.
            pid = posix.posix_spawn(argv[0], argv, environ, file_actions=streams, setpgroup=0)
            started_processes.append((pid, started))
        for pid, started in started_processes:
            report(pid, started)
        for _ in started_processes:
            _, status, used = posix.wait4(-1, 0)
            ended = time.monotonic_ns()
            report(ended, status, round((used.ru_utime + used.ru_stime) * 1e6), used.ru_maxrss)


def report(*numbers: int) -> None:
    """Write a line of numbers without buffering."""
    sys.stdout.write(" ".join(map(str, numbers)) + "\n")
    sys.stdout.flush()


main()
