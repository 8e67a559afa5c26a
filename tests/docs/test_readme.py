"""The README does what it says: every command in it is run, or says why it cannot be."""

from pathlib import Path

from tests.docs.runner import ROOT, run_document


def test_every_command_of_the_readme_prints_what_it_shows(tmp_path: Path) -> None:
    run_document((ROOT / "README.md").read_text(encoding="utf-8"), tmp_path)


def test_nothing_is_left_to_fill_in() -> None:
    assert "@@" not in (ROOT / "README.md").read_text(encoding="utf-8")
