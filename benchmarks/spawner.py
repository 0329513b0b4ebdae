"""Starts processes, waits for them and tells what each of them cost; a program of its own.

Linux hands a process's peak of memory on to what it starts, through vfork and exec: what is
measured would never seem smaller than who started it. So this is run by `python -I -S`, compiled
before, and imports nothing that such a Python has not loaded by itself.

On stdin come jobs, each marshalled: the argv, the environment, the directory, the files for stdout
and stderr, and how many of it to start at once. On stdout go lines: for each process that was
started its number and the time, then for each that ended the time, its wait status, its CPU time
and its peak. Times are of the monotonic clock, which is one for all processes; in nanoseconds, CPU
in microseconds, memory in KiB.
"""

import marshal
import posix
import sys
import time

MODE = 0o600


def main() -> None:
    """Do one job after the other until there are no more."""
    while True:
        try:
            job = marshal.load(sys.stdin.buffer)  # noqa: S302  # json is larger than what we measure
        except EOFError:
            return
        argv, environ, directory, out, errors, copies = job
        posix.chdir(directory)
        # Only ever appended to, so that many may write to one file.
        writing = posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND
        streams = [
            (posix.POSIX_SPAWN_OPEN, 0, "/dev/null", posix.O_RDONLY, MODE),
            (posix.POSIX_SPAWN_OPEN, 1, out, writing, MODE),
            (posix.POSIX_SPAWN_OPEN, 2, errors, writing, MODE),
        ]
        begun = []
        for _ in range(copies):
            started = time.monotonic_ns()
            # A process group of its own: what a shell started is ended with the shell.
            pid = posix.posix_spawn(argv[0], argv, environ, file_actions=streams, setpgroup=0)
            begun.append((pid, started))
        for pid, started in begun:
            tell(pid, started)
        for _ in begun:
            _, status, used = posix.wait4(-1, 0)
            ended = time.monotonic_ns()
            tell(ended, status, round((used.ru_utime + used.ru_stime) * 1e6), used.ru_maxrss)


def tell(*numbers: int) -> None:
    """Write a line of numbers, at once."""
    sys.stdout.write(" ".join(map(str, numbers)) + "\n")
    sys.stdout.flush()


main()
