"""The ceilings: what they refuse, what they let pass."""

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

ROOT = Path(__file__).resolve().parents[2]
CEILINGS = runpy.run_path(str(ROOT / "tools" / "ceilings.py"))
check = cast("Callable[[Path, str], Iterator[str]]", CEILINGS["check"])
PATH = Path("x.py")


def function_of(lines: int) -> str:
    return "def f():\n" + "    a = 1\n" * (lines - 1)


def broad(line: str) -> str:
    return f"try:\n    pass\n{line}\n    pass\n"


@pytest.mark.parametrize(
    "source",
    [
        "a = 1\n" * 500,
        function_of(50),
        broad("except ValueError:"),
        broad("except Exception:  # the edge of the task: it must not end the others"),
        broad("except Exception:  # noqa: BLE001 the edge of the task"),
    ],
)
def test_what_keeps_the_ceilings_passes(source: str) -> None:
    assert list(check(PATH, source)) == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("a = 1\n" * 501, "501 lines"),
        (function_of(51), "f: 51 lines"),
        ("class C:\n" + "".join("    " + line for line in function_of(60).splitlines(True)), "f: 60 lines"),
        (broad("except:"), "broad except"),
        (broad("except Exception:"), "broad except"),
        (broad("except (OSError, BaseException) as error:"), "broad except"),
        (broad("except Exception:  # noqa: BLE001"), "broad except"),
    ],
)
def test_what_breaks_a_ceiling_is_named(source: str, said: str) -> None:
    (message,) = check(PATH, source)
    assert said in message


def test_a_long_file_is_only_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(check(PATH, "a = 1\n" * 301)) == []
    assert "301 lines" in capsys.readouterr().err
