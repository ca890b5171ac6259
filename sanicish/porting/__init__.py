"""What has to change in code that was written for Sanic, Flask or Quart: ``sanicish port PATH``.

It reads programs and never runs them.
"""

from sanicish.porting.command import main
from sanicish.porting.findings import Finding
from sanicish.porting.reader import read

__all__ = ["Finding", "main", "read"]
