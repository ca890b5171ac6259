"""PostgreSQL beside the application: a real server for tests and demonstrations, started when none is given.

``import sanicish`` never comes here, so that nobody pays for asyncpg who does not use it.
"""

from sanicish.postgres.databases import Postgres, temporary
from sanicish.postgres.programs import PostgresUnavailable

__all__ = ["Postgres", "PostgresUnavailable", "temporary"]
