"""A folder, served."""

import pytest

from sanicish.command.simple import simple_app


def test_a_folder_is_served_with_its_index(tmp_path):
    (tmp_path / "index.html").write_text("<h1>here</h1>")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("a")
    app = simple_app(tmp_path)
    assert app.test_client.get("/")[1].text == "<h1>here</h1>"
    assert app.test_client.get("/sub/a.txt")[1].text == "a"
    assert app.test_client.get("/sub")[1].status == 404


def test_names_that_begin_with_a_dot_are_hidden_unless_asked_for(tmp_path):
    for name in (".env", ".git/config", ".well-known/security.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")

    def statuses(app):
        return [
            app.test_client.get(f"/{name}")[1].status for name in (".env", ".git/config", ".well-known/security.txt")
        ]

    assert statuses(simple_app(tmp_path)) == [404, 404, 200]
    assert statuses(simple_app(tmp_path, dotfiles=True)) == [200, 200, 200]


def test_what_is_no_folder_is_said(tmp_path):
    with pytest.raises(NotADirectoryError):
        simple_app(tmp_path / "missing")
