"""PostgreSQL beside the application: rows to the client, uploads into tables, notifications, and a real one for tests.

``import sanicish`` never comes here, so that nobody pays for asyncpg who does not use it.
"""

from sanicish.exceptions import PostgresUnavailable
from sanicish.postgres.copying import stream_copy
from sanicish.postgres.databases import Postgres, temporary
from sanicish.postgres.listening import Listener
from sanicish.postgres.query import stream_query
from sanicish.postgres.uploading import upload_copy

__all__ = ["Listener", "Postgres", "PostgresUnavailable", "stream_copy", "stream_query", "temporary", "upload_copy"]
