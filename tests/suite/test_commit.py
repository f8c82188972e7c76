"""A report says which commit it is of: that of the package, not of the folder it runs in."""

import subprocess

import pytest

from keras_norms.testing import commit


@pytest.fixture
def repository(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init")
    (tmp_path / "a.txt").write_text("a")
    git("add", ".")
    git("commit", "-m", "first")
    return tmp_path, git("rev-parse", "HEAD")


def test_a_clean_tree_and_one_with_changes(repository):
    folder, head = repository
    assert commit.commit_of(folder) == head
    (folder / "new.txt").write_text("not tracked")
    assert commit.commit_of(folder) == f"{head}-dirty"
    (folder / "new.txt").unlink()
    (folder / "a.txt").write_text("b")
    assert commit.commit_of(folder) == f"{head}-dirty"
    assert commit.commit_of(folder / "missing") is None


@pytest.mark.parametrize(("found", "clean"), [("abc", True), ("abc-dirty", False), (None, False)])
def test_only_a_known_commit_is_clean(found, clean):
    assert commit.is_clean(found) is clean


def test_a_package_below_another_repository_is_not_of_its_commit(repository, monkeypatch):
    folder, head = repository
    monkeypatch.setattr(commit, "HERE", folder)
    monkeypatch.setattr(commit, "__file__", str(folder / "new.txt"))
    (folder / "new.txt").write_text("not tracked")
    assert commit.package_commit() is None
    monkeypatch.setattr(commit, "__file__", str(folder / "a.txt"))
    assert commit.package_commit() == f"{head}-dirty"
    (folder / "commit.txt").write_text("abc\n")
    assert commit.package_commit() == "abc"
    (folder / "commit.txt").write_text("")
    assert commit.package_commit() is None
