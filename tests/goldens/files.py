"""The golden files: what they are called, how they are read, and what they must hold.

requests/CASE/CLIENT.json: a client's request, and what each upstream is sent for it.
answers/CASE/UPSTREAM.json and .sse: an upstream's answer, whole and as a stream, and what each client gets.
answers/CASE/asked.json: what the clients' requests hold beside the usual, by dialect.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.goldens.matrix import NAMES, Json, Translated, answer_to, request_for, stream_to

HERE: Final = Path(__file__).parent
CLIENT: Final = "from client"
MODELS: Final = "models"
"""Optional in a request's file: the upstreams' models, by dialect, where they are not the usual ones."""
UPSTREAM: Final = "from upstream"

_SECTION: Final = ": ======== "
_LOST: Final = ": dropped: "


def request_files() -> list[Path]:
    return [path for path in sorted(HERE.glob("requests/*/*.json")) if path.stem in NAMES]


def answer_files(suffix: str) -> list[Path]:
    return [path for path in sorted(HERE.glob(f"answers/*/*{suffix}")) if path.stem in NAMES]


def all_files() -> list[Path]:
    return [*request_files(), *answer_files(".json"), *answer_files(".sse")]


def title(path: Path) -> str:
    """Return how a file is called in reports."""
    return path.relative_to(HERE).as_posix()


def load(path: Path) -> Json:
    loaded = json.loads(path.read_text("utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def asked(path: Path, client: str) -> Json:
    """Return what the client of an answer's case asks beside the usual."""
    extra = path.with_name("asked.json")
    return dict(load(extra).get(client, {})) if extra.exists() else {}


def sections(path: Path) -> dict[str, str]:
    """Return the parts of a stream's file by their titles, without the line that tells of losses."""
    found: dict[str, str] = {}
    for part in path.read_text("utf-8").split(_SECTION)[1:]:
        name, _, text = part.partition("\n\n")
        found[name.partition("\n")[0]] = text
    return found


def upstream_stream(path: Path) -> bytes:
    return sections(path)[UPSTREAM].encode()


def expected(path: Path) -> str:
    """Return what a file must hold, given the request or the answer in it."""
    if path.suffix == ".sse":
        return _stream(path)
    return _request(path) if path.parent.parent.name == "requests" else _answer(path)


def _request(path: Path) -> str:
    held = load(path)
    models = held.get(MODELS, {})
    shown = {MODELS: models} if models else {}
    shown[CLIENT] = held[CLIENT]
    for upstream in NAMES:
        shown[f"to {upstream}"] = request_for(path.stem, held[CLIENT], upstream, models.get(upstream))
    return _pretty(shown)


def _answer(path: Path) -> str:
    said = load(path)[UPSTREAM]
    shown: Json = {UPSTREAM: said}
    for client in NAMES:
        answer = answer_to(client, path.stem, said, asked(path, client))
        shown[f"to {client}"] = {
            **({} if answer.lost is None else {"dropped": answer.lost}),
            "body": json.loads(answer.body),
        }
    return _pretty(shown)


def _stream(path: Path) -> str:
    said = sections(path)[UPSTREAM]
    return "".join(_shown(UPSTREAM, said) if name is None else text for name, text in _streams(path, said))


def _streams(path: Path, said: str) -> Iterator[tuple[str | None, str]]:
    yield None, said
    for client in NAMES:
        answer = stream_to(client, path.stem, [said.encode()], asked(path, client))
        yield client, _shown(f"to {client}", answer.body.decode(), answer)


def _shown(name: str, text: str, answer: Translated | None = None) -> str:
    lost = f"{_LOST}{answer.lost}\n" if answer is not None and answer.lost is not None else ""
    return f"{_SECTION}{name}\n{lost}\n{text}"


def _pretty(value: Json) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
