"""Deterministic text and the token rule: one token is four bytes of UTF-8, rounded up."""

from hashlib import blake2b

BYTES_PER_TOKEN = 4

# Each entry is three bytes of UTF-8, so that a word and its space are exactly one token.
_TEXT = (
    "the and fox ran sat cat dog sun sea sky owl elm oak ash ivy fog dew ice mud bay cow hen "
    "red old new low big wet dry odd shy sly saw met led fed hid dug cut won let put set got "
    "for but yet nor all few two six ten one any our his her its who why how où né 水"
)
_WORDS = tuple(_TEXT.split())
_WAVE = "🌊"  # four bytes: a token alone, and a frame that no ASCII-only reader survives


def count(data: str | bytes) -> int:
    """Return the tokens of a text: its UTF-8 bytes / 4, rounded up."""
    size = len(data.encode()) if isinstance(data, str) else len(data)
    return -(-size // BYTES_PER_TOKEN)


def digest(*parts: str | bytes | int) -> bytes:
    """Return 32 bytes that depend on every part and on where each part ends."""
    state = blake2b(digest_size=32)
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        state.update(len(data).to_bytes(8, "big"))
        state.update(data)
    return state.digest()


class Dice:
    """A stream of numbers that depends only on its seed."""

    def __init__(self, *seed: str | bytes | int) -> None:
        self._seed = digest(*seed)
        self._turn = 0

    def below(self, limit: int) -> int:
        """Return a number in [0, limit)."""
        self._turn += 1
        return int.from_bytes(digest(self._seed, self._turn)[:8], "big") % limit

    def hex(self, length: int) -> str:
        self._turn += 1
        return digest(self._seed, self._turn).hex()[:length]


def pieces(dice: Dice, tokens: int) -> list[str]:
    """Return a text of exactly `tokens` tokens, cut into its tokens."""
    if tokens <= 0:
        return []
    found = [_piece(dice) for _ in range(tokens)]
    found[0] = "The "
    found[-1] = "end."
    return found


def split(text: str) -> list[str]:
    """Return a text cut into pieces of at most a token each, no character broken."""
    found: list[str] = []
    room = 0
    for char in text:
        size = len(char.encode())
        if size > room:
            found.append("")
            room = BYTES_PER_TOKEN
        found[-1] += char
        room -= size
    return found


def _piece(dice: Dice) -> str:
    at = dice.below(len(_WORDS) + 1)
    return _WAVE if at == len(_WORDS) else _WORDS[at] + " "
