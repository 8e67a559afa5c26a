"""The runner of documents itself: what it reads, runs, forgives and does not forgive, and that nothing is left."""

import re
import shutil
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
from tests.docs.blocks import BadBlock, File, Session, steps
from tests.docs.compare import Mismatch, difference, matches
from tests.docs.runner import ROOT, STAMPS, lay_out, run_document

TOUR = Path(__file__).with_name("tour.md").read_text(encoding="utf-8")


def run(folder: Path, session: str, marker: str = "run") -> None:
    run_document(f"<!-- {marker} -->\n\n```console\n{session}\n```\n", folder / "reader", "sample.md")


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def refused(folder: Path, session: str, marker: str = "run") -> str:
    with pytest.raises(Mismatch) as caught:
        run(folder, session, marker)
    return str(caught.value)


def test_commands_share_one_shell(tmp_path: Path) -> None:
    run(
        tmp_path,
        "$ NAME=you; alias greet='echo hello'\n$ mkdir -p a/b && cd a/b\n$ greet $NAME  # a comment\nhello you\n\n"
        "$ pwd\n/srv/demo/a/b\n$ cd ../..\n$ echo ~; ls -A ~\n/home/you",
    )


def test_a_command_goes_on_over_lines(tmp_path: Path) -> None:
    run(
        tmp_path,
        "$ echo one \\\n    two\none two\n$ cat > file <<'END'\n$HOME\n\nlast\nEND\n$ cat file\n$HOME\n\nlast\n"
        "$ for x in 1 2\n> do echo $x\n> done\n1\n2",
    )


def test_a_file_is_written_where_the_text_says(tmp_path: Path) -> None:
    text = "<!-- file: a/b.yaml -->\n```yaml\nx: 4190\n```\n\n<!-- run -->\n```console\n$ cat a/b.yaml\nx: …\n```\n"
    run_document(text, tmp_path / "reader")
    written = (tmp_path / "reader" / "demo" / "a" / "b.yaml").read_text()
    assert written.startswith("x: ")
    assert written != "x: 4190\n"  # the port is this run's


def test_another_output_is_shown_as_a_diff(tmp_path: Path) -> None:
    said = refused(tmp_path, "$ echo same; echo '$0.000379'\nsame\n$0.000378")
    assert said.startswith("sample.md:4: $ echo same")
    assert "\n-$0.000378\n+$0.000379" in said
    assert "\n same\n" in said


@pytest.mark.parametrize(
    ("session", "said"),
    [
        ("$ echo more", "+more"),
        ("$ true\nmissing", "-missing"),
        ("$ false", "exited with 1, not 0"),
        ("$ no-such-program", "exited with 127"),
        ("$ exit 0\n$ true", "the shell has ended"),
        ("$ echo 'unbalanced", "exited with"),
        ("$ KEY=hg_…", "nothing before has printed"),
        ("$ true &\nready", "-ready"),
    ],
)
def test_what_does_not_go_as_shown_fails(tmp_path: Path, session: str, said: str) -> None:
    assert said in refused(tmp_path, session)


def test_output_may_be_left_alone_and_a_status_foretold(tmp_path: Path) -> None:
    run(tmp_path, "$ echo anything", "run: no output compared")
    assert "exited with 1" in refused(tmp_path / "b", "$ false", "run: no output compared")
    run(tmp_path / "c", "$ true\n$ echo bad; false\nbad", "run: exit 1")
    assert "exited with 0, not 1" in refused(tmp_path / "d", "$ true", "run: exit 1")


def test_a_program_in_the_background_is_waited_for_and_ended(tmp_path: Path) -> None:
    run(
        tmp_path,
        "$ (sleep 0.2; echo up; echo $BASHPID > up; exec sleep 1000) &\nup\n$ cat up > seen\n"
        "$ setsid sleep 1000 & echo $! > away",
    )
    for name in ("seen", "away"):
        pid = int((tmp_path / "reader" / "demo" / name).read_text())
        assert not psutil.pid_exists(pid)


def test_a_failure_leaves_nothing_running_either(tmp_path: Path) -> None:
    refused(tmp_path, "$ sleep 1000 &\n$ echo $! > pid\n$ false")
    assert not psutil.pid_exists(int((tmp_path / "reader" / "demo" / "pid").read_text()))


def test_keys_and_ids_of_this_run_stand_where_the_text_has_others(tmp_path: Path) -> None:
    run(
        tmp_path,
        "$ printf 'hg_%s\\n' one1two2three3; printf 'call_%s sonnet\\n' 00112233445566\nhg_Jx8JTuARv78LoRDj9DMsI915\n"
        "call_1a1fd7fdc3500021a38dff5 sonnet\n$ KEY=hg_…\n$ echo ${KEY#hg_}\none1two2three3\n"
        "$ x=call_1a1fd7fdc3500021a38dff5; echo ${x#call_}\n00112233445566\n"
        "$ x=call_…; echo ${x#call_}\n00112233445566",
    )


def test_usual_ports_are_others_in_truth(tmp_path: Path) -> None:
    run(
        tmp_path,
        "$ echo http://127.0.0.1:4141 $HEADGATE_PORT > f; cat f; echo 127.0.0.1:4190\n"
        "http://127.0.0.1:4141 …\n127.0.0.1:4190",
    )
    there, port = (tmp_path / "reader" / "demo" / "f").read_text().split()
    assert there == f"http://127.0.0.1:{port}"
    assert port != "4141"
    assert "-127.0.0.1:4141" in refused(tmp_path / "b", "$ echo 127.0.0.1:4142\n127.0.0.1:4141")


def test_the_reader_has_no_keys_and_no_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    run(tmp_path, '$ echo "[$OPENAI_API_KEY]"; cat; test -t 1 || echo no terminal\n[]\nno terminal')


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_the_project_is_there_and_set_up(tmp_path: Path) -> None:
    run(
        tmp_path,
        "$ make setup\nmake: Nothing to be done for 'setup'.\n$ .venv/bin/headgate --version\nheadgate …\n"
        "$ make --dry-run demo\n.venv/bin/headgate demo ",
    )


def test_make_would_install_nothing_however_old_the_environment_is(tmp_path: Path) -> None:
    """What it installed would land in the environment of the tests, and point into a folder that goes away."""
    made = set(re.findall(r"^\w+ := \$\(VENV\)/(\.\w+)$", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert made == set(STAMPS)
    lay_out(ROOT, tmp_path)
    for name in STAMPS:
        stamp = tmp_path / ".venv" / name
        assert not stamp.is_symlink()
        assert stamp.stat().st_mtime_ns > (ROOT / "pyproject.toml").stat().st_mtime_ns


def test_the_layout_touches_nothing_of_the_project(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "src").mkdir(parents=True)
    (root / "README.md").write_text("x")
    (tmp_path / "folder").mkdir()
    lay_out(root, tmp_path / "folder")
    assert names(tmp_path / "folder") == [".venv", "README.md", "src"]
    assert names(root) == ["README.md", "src"]


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("hg_Jx8JTuARv78", "hg_0123456789"),
        ("hg_…", "hg_0123456789"),
        ("2026-11-21  09:46:17  call_1a1fd7fdc350 ok", "2027-01-02 10:00:00   call_00ffd7fdc350  ok"),
        ("see /tmp/headgate-demo-ab12/headgate.yaml", "see /tmp/headgate-demo-cd34/headgate.yaml"),
        ("took 8.1ms", "took   1.25s"),
        ('{"duration_ms": 8.1}', '{"duration_ms": 12}'),
        ("date: Sat, 21 Nov 2026 09:46:17 GMT", "date: Sun, 22 Nov 2026 10:00:00 GMT"),
        ("on http://127.0.0.1:43210", "on http://127.0.0.1:51234"),
        ("a …", "a b c"),
        ("a\n…\nz", "a\nb\nc\nz"),
        ("a\n…", "a"),
        ("…", ""),
        ("", ""),
        ("\na\n\n", "a\r\n"),
        ("x … z", "x y z"),
    ],
)
def test_what_differs_by_run_is_forgiven(shown: str, printed: str) -> None:
    assert matches(shown.splitlines(), printed.replace("\r\n", "\n"))


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("$0.000378", "$0.000379"),
        ("10 29", "10 30"),
        ("sim/small", "sim/large"),
        ("200", "502"),
        ("http://127.0.0.1:4141", "http://127.0.0.1:4142"),
        ("hg_Jx8JTuARv78", "key_0123456789"),
        ("a", "a\nb"),
        ("a\nb", "a"),
        ("a …", "b c"),
        ("a\n…\nz", "a\nb"),
        ("24h", "25h"),
        ("3.5", "4.5"),
        ("tokens 12", "tokens 120"),
    ],
)
def test_what_must_be_the_same_is(shown: str, printed: str) -> None:
    assert not matches(shown.splitlines(), printed)
    assert difference(shown.splitlines(), printed)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\n\n```console\n$ x\n```\n", "line 3: commands without '<!-- run -->'"),
        ("<!-- run -->\n\nwords\n\n```console\n$ x\n```\n", "line 5: commands without"),
        ("```sh\nx\n```\n", "line 1: commands without"),
        ("<!-- run -->\n```bash\nx\n```\n", "stands in a ```console block"),
        ("<!-- shown: -->\n```console\n$ x\n```\n", "needs a reason"),
        ("<!-- shown -->\n```console\n$ x\n```\n", "needs a reason"),
        ("<!-- run: sometimes -->\n```console\n$ x\n```\n", "is not known"),
        ("<!-- run -->\n```console\nx\n```\n", "output before any command"),
        ("<!-- run -->\n```console\n```\n", "no command"),
        ("<!-- run -->\n```python\nx\n```\n", "cannot be 'run'"),
        ("<!-- file: ../x -->\n```yaml\nx\n```\n", "needs a name"),
        ("1. item\n\n   ```console\n   $ x\n   ```\n", "line 3: commands without"),
    ],
)
def test_a_block_of_commands_that_no_test_runs_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadBlock) as caught:
        steps(text)
    assert said in str(caught.value)


def test_what_is_shown_for_a_reason_and_what_is_no_command_is_left_alone() -> None:
    text = "<!-- shown: needs a paid key -->\n```console\n$ rm -rf /\n```\n\n```python\nx\n```\n\n    $ indented\n"
    assert steps(text) == []


def test_blocks_in_lists_and_with_a_blank_line_after_their_mark_are_found() -> None:
    text = "- item\n\n  <!-- run -->\n\n  ```console\n  $ x\n  y\n  ```\n\n<!-- file: a -->\n```\nz\n```\n"
    session, file = steps(text)
    assert isinstance(session, Session)
    assert [(command.text, command.expected) for command in session.commands] == [("x", ["y"])]
    assert isinstance(file, File)


def test_a_tour_of_a_real_gateway_is_followed(tmp_path: Path) -> None:
    run_document(TOUR, tmp_path / "reader", "tour.md")
