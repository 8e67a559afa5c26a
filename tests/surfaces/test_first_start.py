"""What a first start prints to be copied."""

import json
import shlex

import pytest

from headgate.model.dialect import Endpoint
from headgate.surfaces.first_start import curl


@pytest.mark.parametrize("model", ["modèle", "😀", "it's", "$(id)", 'a"b'])
def test_the_line_to_try_asks_for_the_very_model_on_every_terminal(model: str) -> None:
    line = curl("http://127.0.0.1:1", Endpoint.CHAT, model, "hg_x").encode("ascii", "backslashreplace").decode()
    words = shlex.split(line)
    assert json.loads(words[words.index("-d") + 1])["model"] == model
