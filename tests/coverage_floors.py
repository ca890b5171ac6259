"""Prints the coverage of each package, and fails where one is below its floor (``[floors]`` in ``setup.cfg``).

``make cov`` runs it after the tests.
"""

import io
import sys
from configparser import ConfigParser

from coverage import Coverage


def reached(measured: Coverage, package: str) -> float:
    """What the tests reached of a package, in percent."""
    files = "sanicish/*.py" if package == "root" else f"sanicish/{package}/*"
    return measured.report(include=[files], file=io.StringIO())


def main() -> int:
    setup = ConfigParser(interpolation=None)
    setup.read("setup.cfg", "utf-8")
    measured = Coverage()
    measured.load()
    low = []
    for package, floor in setup["floors"].items():
        percent = reached(measured, package)
        print(f"{package:14}{percent:6.1f}  at least {floor}")
        if percent < float(floor):
            low.append(package)
    if low:
        print("below their floors:", *low)
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
