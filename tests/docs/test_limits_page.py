"""The page about limits does what it says: its figures and refusals are those of a run."""

import re
from pathlib import Path

from tests.docs.runner import ROOT, run_document

PAGE = ROOT / "docs" / "limits.md"


def test_every_command_of_the_page_about_limits_prints_what_it_shows(tmp_path: Path) -> None:
    run_document(PAGE.read_text(encoding="utf-8"), tmp_path, "limits.md")


def test_its_links_lead_somewhere() -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]+\.md)(?:#([^)]+))?\)", PAGE.read_text(encoding="utf-8")):
        text = (PAGE.parent / target).read_text(encoding="utf-8")
        anchors = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
        assert not anchor or anchor in anchors, f"{target}#{anchor}"
