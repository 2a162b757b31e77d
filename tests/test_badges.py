"""The repository's name, in one place."""

import pytest

from musiclib import badges

PYPROJECT = '[project.urls]\nRepository = "https://github.com/old-owner/old.name"\n'
LINK = "https://colab.research.google.com/github/old-owner/old.name/blob/main/notebooks/00.ipynb"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "README.md").write_text(f"[badge]({LINK}) and 'old name' in prose\n")
    (tmp_path / "notebooks" / "solutions").mkdir(parents=True)
    for name in ("00.ipynb", "solutions/00.ipynb"):
        (tmp_path / "notebooks" / name).write_text(f'{{"source": "{LINK}"}}\n')
    return tmp_path


def contents(root):
    return {path: path.read_text() for path in root.rglob("*") if path.is_file()}


def test_this_repository_has_a_name():
    owner, name = badges.repository().split("/")
    assert owner
    assert name


def test_rewrite_reaches_every_file_and_nothing_else(root):
    before = contents(root)
    badges.rewrite("new-owner/new_name", root)
    assert badges.repository(root) == "new-owner/new_name"
    for path, text in contents(root).items():
        assert text == before[path].replace("old-owner/old.name", "new-owner/new_name")


def test_there_and_back_again(root):
    before = contents(root)
    badges.rewrite("a/b", root)
    badges.rewrite("old-owner/old.name", root)
    assert contents(root) == before


@pytest.mark.parametrize("wrong", ["", "name", "a/b/c", "https://github.com/a/b", "a b/c"])
def test_no_repository_changes_nothing(root, wrong):
    before = contents(root)
    with pytest.raises(ValueError, match="is no repository: write owner/name"):
        badges.rewrite(wrong, root)
    assert contents(root) == before
