"""The .env beside the configuration: what counts, what is said of it, and what never is."""

import os
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from headgate.config.envfile import MAX_FILE, exposed, read_env_file


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / ".env"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_values_are_taken_as_they_stand(tmp_path: Path) -> None:
    written(
        tmp_path,
        "# a comment\nPLAIN=a b # why\nexport QUOTED=\"x\\ny\"\nSINGLE='$HOME ${PLAIN}'\n"
        "OPEN=${PLAIN}\nNONE=\nLAST=1\nLAST=2\n",
    )
    file = read_env_file(tmp_path)
    assert file.values == {
        "PLAIN": "a b",
        "QUOTED": "x\ny",
        "SINGLE": "$HOME ${PLAIN}",
        "OPEN": "${PLAIN}",
        "NONE": "",
        "LAST": "2",
    }
    assert file.problems == ()


def test_the_shell_goes_before_it_also_where_it_says_nothing(tmp_path: Path) -> None:
    written(tmp_path, "A=file\nB=file\nC=file\n")
    assert read_env_file(tmp_path).under({"A": "shell", "B": ""}) == {"A": "shell", "B": "", "C": "file"}


def test_lines_that_are_not_understood_are_said_by_number_and_never_quoted(tmp_path: Path) -> None:
    path = written(tmp_path, "GOOD=1\n\n\nsk-5ecre7 and more\nKEY='5ecre7\nALONE5ecre7\nALSO=2\n")
    file = read_env_file(tmp_path)
    assert [problem.partition(":")[2].partition(":")[0] for problem in file.problems] == ["4", "5", "6"]
    assert all(str(path) in problem for problem in file.problems)
    assert "5ecre7" not in " ".join(file.problems)
    assert file.values == {"GOOD": "1", "ALSO": "2"}


def test_many_broken_lines_are_counted(tmp_path: Path) -> None:
    written(tmp_path, "no sense\n" * 12)
    problems = read_env_file(tmp_path).problems
    assert len(problems) == 6
    assert "7 more lines" in problems[-1]


def test_no_value_is_in_its_repr(tmp_path: Path) -> None:
    written(tmp_path, "KEY=5ecre7\n")
    assert "5ecre7" not in repr(read_env_file(tmp_path))


def test_none_is_no_problem(tmp_path: Path) -> None:
    file = read_env_file(tmp_path)
    assert (file.values, file.problems) == ({}, ())
    assert exposed(file.path) == []


def test_what_is_too_large_or_no_text_is_not_read(tmp_path: Path) -> None:
    path = written(tmp_path, "A=" + "x" * (MAX_FILE - 3) + "\n")
    assert read_env_file(tmp_path).problems == ()
    written(tmp_path, "A=" + "x" * MAX_FILE)
    file = read_env_file(tmp_path)
    assert (file.values, "64 KiB" in file.problems[0]) == ({}, True)
    path.write_bytes(b"A=1\nB=\xff\n")
    file = read_env_file(tmp_path)
    assert (file.values, f"{path}:2" in file.problems[0]) == ({}, True)


def test_a_byte_order_mark_and_line_ends_of_windows_are_taken(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfA=1\r\nB=2\r\n")
    assert read_env_file(tmp_path).values == {"A": "1", "B": "2"}


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop"])
def test_what_is_no_file_is_said_and_never_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ".env"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path)
    file = read_env_file(tmp_path)
    assert file.values == {}
    assert "not read" in file.problems[0]


@pytest.mark.parametrize(
    ("mode", "open_"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o660, True)]
)
def test_a_file_that_others_can_read_is_warned_of(tmp_path: Path, mode: int, *, open_: bool) -> None:
    path = written(tmp_path, "A=1\n", mode)
    warnings = exposed(path)
    assert bool(warnings) is open_
    if open_:
        assert f"chmod 600 {path}" in warnings[0]
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)
        assert exposed(path) == []


def test_a_folder_of_that_name_gets_no_advice_that_would_break_it(tmp_path: Path) -> None:
    """Some call their virtual environment `.env`: closed to its own user it would be lost."""
    (tmp_path / ".env").mkdir(mode=0o755)
    assert exposed(tmp_path / ".env") == []


def test_a_file_of_another_user_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "A=1\n")
    if os.geteuid() == 0:
        os.chown(path, 54_321, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    assert "belongs to another user" in exposed(path)[0]


def test_what_is_to_be_typed_can_be_typed_in_any_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a b; touch c"
    folder.mkdir()
    path = written(folder, "A=1\n", 0o644)
    subprocess.run(["git", "-C", folder, "init", "-q"], check=True)
    subprocess.run(["git", "-C", folder, "add", ".env"], check=True)
    open_, tracked = exposed(path)
    assert shlex.split(open_.partition("Close it: ")[2]) == ["chmod", "600", str(path)]
    untrack = tracked.partition("Take it out: ")[2].partition("; add it to")[0]
    assert shlex.split(untrack) == ["git", "rm", "--cached", str(path)]


def test_a_file_that_git_tracks_is_warned_of(tmp_path: Path) -> None:
    path = written(tmp_path, "A=1\n")
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    assert exposed(path) == []
    subprocess.run([*git, "add", ".env"], check=True)
    assert f"git rm --cached {path}" in exposed(path)[0]
    subprocess.run([*git, "rm", "-q", "--cached", ".env"], check=True)
    assert exposed(path) == []


def test_a_repositorys_own_settings_start_no_program(tmp_path: Path) -> None:
    path = written(tmp_path, "A=1\n")
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", ".env"], check=True)
    subprocess.run([*git, "config", "core.fsmonitor", f"touch {tmp_path / 'started'}; false"], check=True)
    assert exposed(path)
    assert not (tmp_path / "started").exists()


def test_a_repository_with_holes_fetches_nothing_by_its_own_settings(tmp_path: Path) -> None:
    """A sparse index is made whole for the answer, and what is missing for that git would fetch where it is told."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_text("x")
    fetcher = tmp_path / "fetcher"
    fetcher.write_text(f"#!/bin/sh\ntouch {tmp_path / 'started'}\nexit 1\n")
    fetcher.chmod(0o700)

    def git(*words: str) -> str:
        own = ("-c", "user.email=a@example.com", "-c", "user.name=a")
        return subprocess.run(
            ["git", "-C", tmp_path, *own, *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q")
    git("add", "sub")
    git("commit", "-qm", "x")
    git("sparse-checkout", "init", "--cone", "--sparse-index")
    tree = git("rev-parse", "HEAD:sub")
    (tmp_path / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    for name, value in {
        "core.repositoryformatversion": "1",
        "extensions.partialClone": "origin",
        "protocol.allow": "always",
        "remote.origin.url": str(tmp_path),
        "remote.origin.promisor": "true",
        "remote.origin.uploadpack": str(fetcher),
    }.items():
        git("config", name, value)
    assert exposed(written(tmp_path, "A=1\n")) == []
    assert not (tmp_path / "started").exists()


def test_git_is_asked_of_this_folder_whatever_the_shell_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "A=1\n")
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", ".env"], check=True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "no-index"))
    assert "tracked by git" in exposed(path)[0]


def test_without_git_nothing_is_said_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert exposed(written(tmp_path, "A=1\n")) == []
