"""The file .env beside the configuration: variables for `${NAME}` that the environment itself does not have."""

import io
import os
import shlex
import shutil
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec
from dotenv.parser import parse_stream

NAME = ".env"
MAX_FILE = 64 * 1024
"""Bytes; a larger file is not read."""
GIT_WITHIN = 2.0
"""Seconds that git has to say whether it tracks the file."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_SHOWN = 5
_ANOTHER_REPOSITORY = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX"})
"""Set in git's hooks and by some shells; the question is about the folder of the file."""


class EnvFile(msgspec.Struct, frozen=True):
    """What a .env holds. `problems` name lines, never what stands in them. Its repr holds no value."""

    path: Path
    values: dict[str, str] = {}
    problems: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"EnvFile({str(self.path)!r}, {len(self.values)} values)"

    def under(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return the values with those of `env` over them: what the shell has set counts, be it empty."""
        return {**self.values, **env}


def read_env_file(folder: Path) -> EnvFile:
    """Return what the .env in `folder` holds; nothing where there is none. Never raises: what is wrong is a problem.

    Values are taken as they stand: `${NAME}` in a value is not replaced.
    """
    path = folder / NAME
    try:
        # Not blocking, so that a named pipe cannot keep a start waiting for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return EnvFile(path)
    except OSError as error:
        return EnvFile(path, problems=(f"{path}: not read: {error.strerror}",))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return EnvFile(path, problems=(f"{path}: not read: it is no file",))
    with os.fdopen(descriptor, "rb") as file:
        try:
            data = file.read(MAX_FILE + 1)
        except OSError as error:
            return EnvFile(path, problems=(f"{path}: not read: {error.strerror}",))
    if len(data) > MAX_FILE:
        return EnvFile(path, problems=(f"{path}: not read: it is larger than {MAX_FILE >> 10} KiB",))
    try:
        return _parsed(path, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return EnvFile(path, problems=(f"{path}:{line}: not read: it is not UTF-8 text",))


def _parsed(path: Path, text: str) -> EnvFile:
    values: dict[str, str] = {}
    broken: list[int] = []
    for binding in parse_stream(io.StringIO(text)):
        said = binding.original.string
        # What a binding begins with may be empty lines.
        line = binding.original.line + said[: len(said) - len(said.lstrip())].count("\n")
        if binding.error or (binding.key is not None and binding.value is None):
            broken.append(line)
        elif binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    problems = [f"{path}:{line}: not understood; write NAME=value" for line in broken[:_SHOWN]]
    if len(broken) > _SHOWN:
        problems.append(f"{path}: {len(broken) - _SHOWN} more lines were not understood")
    return EnvFile(path, values, tuple(problems))


def exposed(path: Path) -> list[str]:
    """Return how a .env lies open, each with what to type: another user's, readable for others, or tracked by git."""
    try:
        known = path.stat()
    except OSError:
        return []
    if not stat.S_ISREG(known.st_mode):
        return []
    found = []
    typed = shlex.quote(str(path))
    if known.st_uid not in {os.geteuid(), 0}:
        found.append(
            f"{path} belongs to another user, who can put keys of their own into it and see what is asked with them. "
            f"Read it; then make it yours: cp {typed} {typed}.mine && mv -f {typed}.mine {typed}"
        )
    elif known.st_mode & _OTHERS:
        found.append(f"{path} can be read by other users of this machine. Close it: chmod 600 {typed}")
    if _is_tracked(path):
        found.append(
            f"{path} is tracked by git, so its keys are in the history. Take it out: git rm --cached {typed}; "
            "add it to .gitignore, and have those keys replaced"
        )
    return found


def _is_tracked(path: Path) -> bool:
    git = shutil.which("git")
    if git is None:
        return False
    # A repository's own settings could make git run a program: its monitor, or what fetches objects that are missing.
    command = [git, "-c", "core.fsmonitor=false", "ls-files", "--error-unmatch", "--", path.name]
    quiet = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": ""}
    env = {name: value for name, value in os.environ.items() if name not in _ANOTHER_REPOSITORY}
    try:
        done = subprocess.run(  # noqa: S603 - git itself, with fixed arguments
            command,
            cwd=path.parent,
            env={**env, **quiet},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=GIT_WITHIN,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
