"""What the bench installs of others: whole or not at all, once for each pin."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from bench import install, machine


def building(folder: Path, *, fails: bool = False) -> list[int]:
    """Install into `folder` by a command that leaves a file there; return whether it was run."""
    code = f"import pathlib, sys; p = pathlib.Path({str(folder)!r}); p.mkdir(); (p / 'half').touch(); sys.exit({fails})"
    ran = []

    def build() -> None:
        ran.append(1)
        subprocess.run([sys.executable, "-c", code], check=True)

    install.ensure(folder, "1.0", build)
    return ran


def test_what_is_installed_is_used_again(tmp_path: Path) -> None:
    assert building(tmp_path / "peers" / "some")
    assert not building(tmp_path / "peers" / "some")
    assert (tmp_path / "peers" / "some" / "half").exists()


def test_a_failed_install_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        building(tmp_path / "some", fails=True)
    assert not (tmp_path / "some").exists()
    assert building(tmp_path / "some")


def test_an_interrupted_install_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        (tmp_path / "some").mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        install.ensure(tmp_path / "some", "1.0", interrupted)
    assert not (tmp_path / "some").exists()


def test_half_a_folder_that_a_killed_run_left_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "some"
    folder.mkdir()
    (folder / "old").touch()
    assert building(folder)
    assert not (folder / "old").exists()


def test_another_pin_is_installed_anew(tmp_path: Path) -> None:
    folder = tmp_path / "some"
    building(folder)
    (folder / install.MARKER).write_text("0.9")
    assert building(folder)
    assert (folder / install.MARKER).read_text() == "1.0"


def test_without_node_the_person_is_told_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(machine.Unfit, match=r"apt-get install nodejs npm; or leave it out: make bench-peers ARGS="):
        install.portkey()


def test_a_registry_that_fails_is_said_with_its_words_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("node", "exit 0"), ("npm", "echo 'no such package' >&2; exit 7")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr(install, "ROOT", tmp_path / "peers")
    with pytest.raises(machine.Unfit, match=r"(?s)Portkey could not be installed.*ended with 7.*no such package"):
        install.portkey()
    assert not (tmp_path / "peers" / "portkey").exists()
