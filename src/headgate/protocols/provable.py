"""What is provable of a stream's output before its upstream reports it."""

from typing import Final

import msgspec

from headgate.model.usage import Usage

BYTES_A_TOKEN: Final = 32
"""A text has at least a token for so many of its bytes (UTF-8).

Texts have 3 to 5 bytes a token on average. The longest single tokens are runs: OpenAI's vocabularies, and those made
of them, know 128 spaces as one; SentencePiece takes 16 characters at most unless told otherwise. So the average of 32
could only be passed by a text of hardly anything but the longest runs.
"""
WATCH_BYTES: Final = 512
"""Bytes of frames for each token held from which on a stream is worth a look: with its frame a token has 200 to 400.

Frames themselves prove nothing: logprobs, padding and what servers' tools return are in them too.
"""


def usage_at_cap(reported: Usage | None, output_tokens: int, input_tokens: int | None) -> Usage | None:
    """Return the usage that the end of a stopped stream says: what was reported of the input, else `input_tokens`.

    None where the input is unknown.
    """
    if reported is None:
        return None if input_tokens is None else Usage(input=input_tokens, output=output_tokens)
    reasoning = min(reported.reasoning, output_tokens)
    return msgspec.structs.replace(reported, output=output_tokens, output_audio=0, reasoning=reasoning)
