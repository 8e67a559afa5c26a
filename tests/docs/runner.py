"""Runs the commands of a Markdown text as a reader would, in one bash, and compares what they print.

The reader stands in a folder that holds the project's entries as links, has an empty home and no keys of vendors. Text
and output see the usual ports, /srv/demo as the folder and /home/you as the home; the programs see free ports and
temporary folders.
"""

import os
import re
import select
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import psutil  # type: ignore[import-untyped]
from tests.docs.blocks import Command, File, Session, steps
from tests.docs.compare import ANY, TOKEN, Mismatch, difference, matches, renamed
from tests.e2e.processes import poll

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
"""Seconds after which a program in the background that has not said what it should counts as broken."""
LONG = 300.0
"""The same for a command that is waited for."""
PORTS = ("4141", "4142", "4190")
"""Gateway, admin plane, simulated upstream."""
FOLDER, HOME = "/srv/demo", "/home/you"
STAMPS = (".ready", ".runs")
"""What the Makefile knows an environment by that is set up."""

_BACKGROUND = re.compile(r"(?<!&)&\s*(?:#.*)?\Z")
_SIM = re.compile(r"\bheadgate sim\b(?![^|;&\n]*(?:--port|-p |--faults|--help))")
_BLANK = re.compile(r"\b(hg|call|key)_…")

# Commands come by descriptor 3 and are answered by 4; the commands themselves have neither, and an empty input.
_DRIVER = r"""
shopt -s expand_aliases
exec 3<&0 4>&1 </dev/null >/dev/null
while IFS= read -r -d '' output <&3 && IFS= read -r -d '' command <&3; do
    eval "$command" 3<&- 4>&- >>"$output" 2>&1
    printf '%s %s\n' "$?" "${!:-0}" >&4
done
"""


class Ran(NamedTuple):
    """A command that came back: its exit status, the last background process (0: none), where its output goes."""

    status: int
    background: int
    output: Path

    @property
    def printed(self) -> str:
        """What it has printed up to now."""
        return self.output.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")


class Shell:
    """One bash in `folder`: variables, aliases, folder and background jobs live on from command to command."""

    def __init__(self, folder: Path, home: Path, outputs: Path, env: dict[str, str]) -> None:
        self._outputs = outputs
        self._count = 0
        self._mark = uuid.uuid4().hex
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-c", _DRIVER],
            cwd=folder,
            env={**env, "HOME": str(home), "DOCUMENT_MARK": self._mark},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def run(self, command: str) -> Ran:
        """Run a command to its end, or into the background. Raises TimeoutError, EOFError if the shell has ended."""
        assert self._process.stdin is not None
        self._count += 1
        output = self._outputs / str(self._count)
        output.touch()
        self._process.stdin.write(f"{output}\0{command}\0".encode())
        self._process.stdin.flush()
        status, background = self._answer(output).split()
        return Ran(int(status), int(background), output)

    def _answer(self, output: Path) -> str:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], LONG)
        if not ready:
            raise TimeoutError(output.read_text(errors="replace"))
        line = self._process.stdout.readline().decode()
        if not line:
            raise EOFError("the shell has ended; a command called exit")
        return line

    def close(self) -> None:
        """End everything that was started, however it went into the background; nothing is left afterwards."""
        for process in self._started():
            _signal(process, "terminate")
        psutil.wait_procs(self._started(), timeout=PATIENCE / 2)
        while left := self._started():
            for process in left:
                _signal(process, "kill")
            psutil.wait_procs(left, timeout=PATIENCE)
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _started(self) -> list[psutil.Process]:
        """Return the living processes that carry this shell's mark in their environment, but for the shell."""
        found = []
        for process in psutil.process_iter():
            try:
                alive = process.pid != self._process.pid and process.status() != psutil.STATUS_ZOMBIE
                if alive and process.environ().get("DOCUMENT_MARK") == self._mark:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found


class Reader:
    """Somebody who follows a text: types its commands, and knows the ids and ports of this run."""

    def __init__(self, shell: Shell, folder: Path, home: Path, ports: dict[str, str], name: str) -> None:
        self._shell, self._folder, self._ports, self._name = shell, folder, ports, name
        self._names: dict[str, str] = {}
        self._last: dict[str, str] = {}
        self._places = {str(folder): FOLDER, str(home): HOME}

    def do(self, step: Session | File) -> None:
        """Do what a block says. Raises Mismatch."""
        if isinstance(step, File):
            path = self._folder / step.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._real(step.text), encoding="utf-8")
            return
        for command in step.commands:
            last = command is step.commands[-1]
            self._type(command, step.compared, step.status if last else 0)

    def _type(self, command: Command, compared: bool, status: int) -> None:
        where = f"{self._name}:{command.line}: $ {command.text}"
        try:
            ran = self._shell.run(self._real(command.text))
        except (TimeoutError, EOFError) as error:
            raise Mismatch(f"{where}\ndid not come back: {error}") from None
        expected = command.expected
        if _BACKGROUND.search(command.text):
            # What it says later belongs to no moment that a test could name.
            expected = [*expected, ANY]
            self._await(ran, expected, silent=not compared)
        printed = self._shown(ran.printed)
        if ran.status != status:
            raise Mismatch(f"{where}\nexited with {ran.status}, not {status}; it printed:\n{printed}")
        if compared and not matches(expected, printed):
            raise Mismatch(f"{where}\n{difference(expected, printed)}")
        self._names.update(renamed(expected, printed))
        for token in TOKEN.findall(printed):
            self._last[token.partition("_")[0]] = token

    def _await(self, ran: Ran, expected: Sequence[str], *, silent: bool) -> None:
        """Wait until a background process has said what it should (`silent`: anything), or has ended."""

        def settled() -> bool:
            alive = psutil.pid_exists(ran.background)
            printed = self._shown(ran.printed)
            said = "\n" in printed if silent else matches(expected, printed)
            return said or not alive or _is_zombie(ran.background)

        try:
            poll(settled, PATIENCE)
        except TimeoutError:
            return

    def _real(self, text: str) -> str:
        """Return what is typed in this run: its ids and keys, its ports."""
        for shown, real in self._names.items():
            text = text.replace(shown, real)
        text = _BLANK.sub(self._blank, text)
        text = _SIM.sub(f"headgate sim --port {PORTS[2]}", text)
        return re.sub(rf"\b(?:{'|'.join(PORTS)})\b", lambda found: self._ports[found[0]], text)

    def _blank(self, found: re.Match[str]) -> str:
        real = self._last.get(found[1])
        if real is None:
            raise Mismatch(f"{self._name}: nothing before has printed what '{found[0]}' stands for")
        return real

    def _shown(self, printed: str) -> str:
        """Return what was printed as the text has it: the usual ports and folders."""
        for usual, real in self._ports.items():
            printed = re.sub(rf"(?<=:){real}\b|(?<=[Pp]ort ){real}\b", usual, printed)
        for real, place in self._places.items():
            printed = printed.replace(real, place)
        return printed


def run_document(text: str, folder: Path, name: str = "README.md", root: Path = ROOT) -> None:
    """Do all that `text` marks as run, in new folders below `folder`. Raises BadBlock, Mismatch."""
    todo = steps(text)
    with ExitStack() as stack:
        place, home, outputs = (folder / one for one in ("demo", "home", "outputs"))
        for one in (place, home, outputs):
            one.mkdir(parents=True)
        lay_out(root, place)
        ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        env = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HEADGATE_PORT": ports[PORTS[0]],
            "HEADGATE_ADMIN_PORT": ports[PORTS[1]],
        }
        shell = Shell(place, home, outputs, env)
        stack.callback(shell.close)
        reader = Reader(shell, place, home, ports, name)
        for step in todo:
            reader.do(step)


def lay_out(root: Path, folder: Path) -> None:
    """Put into `folder` a link to every tracked entry of the project, and its virtual environment as set up."""
    for name in sorted(_tracked(root)):
        (folder / name).symlink_to(root / name)
    venv = folder / ".venv"
    venv.mkdir()
    for entry in Path(sys.prefix).iterdir():
        if entry.name not in STAMPS:
            (venv / entry.name).symlink_to(entry)
    # Newer than the lock files: `make` must not install anything into the environment that the tests run in.
    for name in STAMPS:
        (venv / name).touch()


def _tracked(root: Path) -> set[str]:
    if shutil.which("git") is not None:
        listed = subprocess.run(["git", "-C", root, "ls-files", "-z"], capture_output=True, text=True, check=False)
        if listed.returncode == 0:
            return {path.partition("/")[0] for path in listed.stdout.split("\0") if path}
    return {entry.name for entry in root.iterdir() if not entry.name.startswith(".")} - {"build", "dist"}


def free_ports(count: int) -> list[str]:
    """Return ports that nobody listens on, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [str(one.getsockname()[1]) for one in sockets]


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _signal(process: psutil.Process, name: str) -> None:
    try:
        getattr(process, name)()
    except psutil.NoSuchProcess:
        return
