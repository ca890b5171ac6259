"""An application that serves one folder: what ``sanicish --simple DIR`` runs."""

from pathlib import Path

from sanicish.app import Sanic

__all__ = ["simple_app"]


def simple_app(directory: str | Path, dotfiles: bool = False) -> Sanic:
    """Serve the files below a directory, ``index.html`` for a folder; raises ``NotADirectoryError``.

    Files and folders whose names begin with a dot are hidden unless ``dotfiles`` asks for them, except ``.well-known``.
    """
    root = Path(directory)
    if not root.is_dir():
        raise NotADirectoryError(f"{directory} is no directory")
    app = Sanic("simple", register=False)
    app.static("/", root, index="index.html", precompressed=True, dotfiles=dotfiles)
    return app
