"""A worker that imports its application by name; a supervisor starts it (``server/launch``)."""

import importlib
import pickle
import sys

from sanicish.log import error_logger
from sanicish.server.launch import Plan
from sanicish.server.link import Link

__all__ = ["main"]


def main() -> None:
    """Serve the application of the plan that the supervisor has sent."""
    link = Link.inherited()
    if link is None or not link.plan:
        sys.exit("sanicish.command.worker is started by a supervisor: run(workers=2)")
    plan: Plan = pickle.loads(link.plan)
    sys.argv[:] = plan.argv
    try:
        app = getattr(importlib.import_module(plan.module), plan.attribute)
    except Exception as error:  # the command will fail too, and show why; or it knows how to do without
        error_logger.debug("%s cannot be imported: %r", plan.module, error)
        link.run_otherwise(plan.command)
    app.run(**plan.arguments)
