"""docs/admin.md names every request, parameter, code and metric, and no other."""

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from tests.admin.conftest import make_supervisor

from headgate.ledger.limit_views import Total
from headgate.surfaces.admin.app import DESCRIPTION
from headgate.surfaces.admin.prometheus import exposition
from headgate.surfaces.admin.table import TABLE
from headgate.surfaces.admin.totals import Totals

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "admin.md").read_text(encoding="utf-8")
SOURCE = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/headgate/surfaces/admin").glob("*.py"))


def test_requests_and_their_parameters() -> None:
    rows = dict(re.findall(r"^\| `([A-Z]+ /\S*)` \| (.*) \|$", DOC, re.MULTILINE))
    assert set(rows) == {f"{entry.method} {entry.path}" for entry in TABLE} | {f"GET {DESCRIPTION}"}
    for entry in TABLE:
        for param in entry.query:
            assert f"`{param.name}`" in rows[f"{entry.method} {entry.path}"], (entry.path, param.name)


def test_metrics() -> None:
    told = {name.removesuffix("_total") for name in re.findall(r"^\| `(headgate_\w+)", DOC, re.MULTILINE)}
    page = exposition(make_supervisor(), 1, Totals(Total(1, 2), Total(3, 4))).decode()
    assert told == {family.name for family in text_string_to_metric_families(page)}


def test_codes_of_errors() -> None:
    rows = re.findall(r"^\| [45]\d\d[^|]* \| (.*) \|$", DOC, re.MULTILINE)
    told = {code for row in rows for code in re.findall(r"`(\w+_\w+)`", row)}
    assert told == set(re.findall(r'Refused\(\s*\d{3},\s*"(\w+)"', SOURCE))
