"""A program of a user's, started as he starts it, whose lines can be read as they come."""

import subprocess
import urllib.request
from collections import Counter

__all__ = ["Program"]


class Program:
    """A program that runs, the process ids of what it says, and the address it listens on."""

    def __init__(self, *command, cwd, stdin=None, **options):
        self.process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=cwd,
            **options,
        )
        if stdin:
            self.process.stdin.write(stdin)
            self.process.stdin.close()
            self.process.stdin = None
        self.lines = []

    @property
    def pid(self):
        return self.process.pid

    def read_until(self, words):
        while words not in (line := self.process.stdout.readline()):
            assert line, "".join(self.lines)
            self.lines.append(line)
        self.lines.append(line)
        return line

    def serving(self):
        self.url = self.read_until("Ctrl-C stops").split(" on ")[1].split(" (")[0]
        return self

    def ask(self, path="/", timeout=10):
        with urllib.request.urlopen(self.url + path, timeout=timeout) as answer:
            return answer.read().decode()

    def workers(self, count, without=()):
        """The ids of so many workers that serve."""
        seen = set()
        while len(seen) < count:
            seen |= {int(self.ask().split()[0])} - set(without)
        return seen

    def end(self):
        """Wait for the end; gives what it said: how often the main process did, and how often the others."""
        self.lines += self.process.communicate(timeout=20)[0].splitlines(keepends=True)
        said = Counter()
        for line in self.lines:
            words, _, pid = line.strip().rpartition(" ")
            if pid.isdigit() and words.replace("_", "").isalpha():
                said[words, "main" if int(pid) == self.pid else "worker"] += 1
        return said
