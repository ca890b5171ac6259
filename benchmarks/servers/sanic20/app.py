"""Sanic of the 20.12 era: the very application of sanicish, for the two have one API."""

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import sanic
import sanic.response

sanic.Sanic.ctx = SimpleNamespace()  # which came in 21.3
sys.modules["sanicish"] = sanic
sys.modules["sanicish.response"] = sanic.response
runpy.run_path(str(Path(__file__).resolve().parent.parent / "sanicish" / "app.py"), run_name="__main__")
