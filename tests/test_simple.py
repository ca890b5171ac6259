"""A folder, served."""

import pytest

from sanicish.simple import simple_app


def test_a_folder_is_served_with_its_index(tmp_path):
    (tmp_path / "index.html").write_text("<h1>here</h1>")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("a")
    app = simple_app(tmp_path)
    assert app.test_client.get("/")[1].text == "<h1>here</h1>"
    assert app.test_client.get("/sub/a.txt")[1].text == "a"
    assert app.test_client.get("/sub")[1].status == 404


def test_what_is_no_folder_is_said(tmp_path):
    with pytest.raises(NotADirectoryError):
        simple_app(tmp_path / "missing")
