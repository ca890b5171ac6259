"""``python -m benchmarks``: run; or ``plot RESULT.json``, ``micro``, ``rows``, ``limits`` or ``soak``."""

import sys
from importlib import import_module

# Only what is asked for is loaded: to run nobody needs what plots.
COMMANDS = {
    "plot": "benchmarks.plot",
    "micro": "benchmarks.micro",
    "rows": "benchmarks.rows",
    "limits": "benchmarks.limits",
    "soak": "benchmarks.soak",
}

if __name__ == "__main__":
    name, arguments = "benchmarks.run", sys.argv[1:]
    if arguments and arguments[0] in COMMANDS:
        name, arguments = COMMANDS[arguments[0]], arguments[1:]
    sys.exit(import_module(name).main(arguments))
