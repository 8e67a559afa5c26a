"""Log probabilities of tokens, made up from the tokens themselves, in the form both of OpenAI's APIs have."""

from headgate.sim.ask import Json
from headgate.sim.words import digest

_OTHERS = 20  # OpenAI's bound of top_logprobs


def logprobs(tokens: list[str], others: int) -> list[Json]:
    """Return an entry for each token with `others` alternatives, the likeliest of them the token itself."""
    return [_entry(token) | {"top_logprobs": _top(token, min(others, _OTHERS))} for token in tokens]


def _top(token: str, others: int) -> list[Json]:
    return [_entry(token) if not at else _entry(f"{token}{at}", float(at)) for at in range(others)]


def _entry(token: str, less: float = 0.0) -> Json:
    logprob = -(digest(token)[0] + 1) / 256 - less
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
