"""Prints the lowest version that setup.cfg allows of each requirement, as constraints for pip."""

import re
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

SETUP = Path(__file__).parent.parent / "setup.cfg"
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(\[[\w,]+\])?>=(?P<version>[\w.]+)")
REFERENCE = re.compile(r"%\((?P<extra>\w+)\)s")


def requirements(lines: str, extras: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Name and lower bound of every requirement in these lines, those of the extras they refer to included."""
    for line in lines.split():
        if reference := REFERENCE.fullmatch(line):
            yield from requirements(extras[reference["extra"]], extras)
        elif requirement := REQUIREMENT.match(line):
            yield requirement["name"], requirement["version"]
        else:
            raise ValueError(f"{line!r} in setup.cfg has no lower bound")


def constraints() -> list[str]:
    """One constraint for each run-time requirement and for each of the extra ``test``."""
    setup = ConfigParser(interpolation=None)
    setup.read(SETUP, "utf-8")
    extras = dict(setup["options.extras_require"])
    lines = setup["options"]["install_requires"] + extras["test"]
    return [f"{name}=={version}" for name, version in sorted(requirements(lines, extras))]


if __name__ == "__main__":
    print("\n".join(constraints()))
