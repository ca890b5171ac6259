"""An application that serves one folder: what ``sanicish --simple DIR`` runs."""

from pathlib import Path

from sanicish.app import Sanic

__all__ = ["simple_app"]


def simple_app(directory: str | Path) -> Sanic:
    """Serve the files below a directory, ``index.html`` for a folder; raises ``NotADirectoryError``."""
    root = Path(directory)
    if not root.is_dir():
        raise NotADirectoryError(f"{directory} is no directory")
    app = Sanic("simple", register=False)
    app.static("/", root, index="index.html", precompressed=True)
    return app
