"""A real PostgreSQL for tests and demos, started from programs that are on the machine.

``sanicish.postgres.temporary()`` is the public name. Nothing here is loaded before a server has to be started.
"""

from sanicish.testing.postgres.launcher import running
from sanicish.testing.postgres.programs import find_programs

__all__ = ["find_programs", "running"]
