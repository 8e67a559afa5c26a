"""How many tokens a byte of request has, learned per model from settled calls."""

from collections import OrderedDict
from typing import Final

from headgate.policy.estimate import TOKENS_PER_BYTE

REMEMBERED: Final = 400
"""Calls of a model that count, the last ones."""
NEEDED: Final = 50
"""Calls below which nothing is known."""
MAX_MODELS: Final = 256
MIN_BYTES: Final = 2_048
"""Smaller requests teach nothing: a vendor's own prompt for tools (up to 530 tokens) weighs as much as their text, and
one small request in a hundred would set the rate of the large ones."""
FLOOR: Final = 0.2
CEILING: Final = 1.0
"""No tokenizer makes more than a token of a byte."""

_STEPS: Final = 100
"""Steps of one hundredth of a token a byte; a call counts as the upper end of its step."""
_MARGIN: Final = 1.1
_ABOVE: Final = 100
"""One call in this many may have been denser than the rate before its margin."""


class Density:
    """Tokens per byte of the models called, at most 256 of them; the one unheard of for longest is forgotten first.

    One thread's own. A client that pads its requests can bring its model down to the floor, not below.
    """

    __slots__ = ("_models",)

    def __init__(self) -> None:
        self._models: OrderedDict[str, _Model] = OrderedDict()

    def saw(self, model: str, visible_bytes: int, input_tokens: int) -> None:
        """Learn from one settled call: bytes of request that were text, and all classes of input as reported.

        Calls with attachments or input from elsewhere are not to be told: their tokens are not the text's.
        """
        if visible_bytes < MIN_BYTES or input_tokens <= 0:
            return
        known = self._models.get(model)
        if known is None:
            known = self._models[model] = _Model()
            if len(self._models) > MAX_MODELS:
                self._models.popitem(last=False)
        self._models.move_to_end(model)
        known.add(min(-(-input_tokens * _STEPS // visible_bytes), _STEPS))

    def rate(self, model: str) -> float:
        """Return the tokens that a byte of a request to this model has at most, 99 times in 100; 0.5 until known."""
        known = self._models.get(model)
        return TOKENS_PER_BYTE if known is None else known.rate


class _Model:
    """A histogram over a ring of the last calls, whose quantile is kept up: neither a call nor the rate costs a sort.

    `_dense` is the quantile; `_above` of the calls are denser.
    """

    __slots__ = ("_above", "_calls", "_counts", "_dense", "_next", "rate")

    def __init__(self) -> None:
        self._calls = bytearray()
        self._counts = [0] * (_STEPS + 1)
        self._next = 0
        self._dense = 0
        self._above = 0
        self.rate = TOKENS_PER_BYTE

    def add(self, step: int) -> None:
        """Remember a call of this many hundredths of a token a byte."""
        if len(self._calls) < REMEMBERED:
            self._calls.append(step)
        else:
            gone = self._calls[self._next]
            self._counts[gone] -= 1
            self._above -= gone > self._dense
            self._calls[self._next] = step
            self._next = (self._next + 1) % REMEMBERED
        self._counts[step] += 1
        self._above += step > self._dense
        if len(self._calls) >= NEEDED:
            self._move(len(self._calls) // _ABOVE)

    def _move(self, allowed: int) -> None:
        """Bring the quantile to where at most `allowed` calls are denser, and with its own step more than that."""
        dense, counts = self._dense, self._counts
        while self._above > allowed:
            dense += 1
            self._above -= counts[dense]
        while dense and self._above + counts[dense] <= allowed:
            self._above += counts[dense]
            dense -= 1
        if dense != self._dense:
            self._dense = dense
            self.rate = min(max(dense * _MARGIN / _STEPS, FLOOR), CEILING)
