"""Every word of ours has its word here."""

from typing import get_args

from anthropic.types import StopReason
from anthropic.types.output_config_param import OutputConfigParam
from anthropic.types.usage import Usage

from headgate.model.content import Block, Role
from headgate.model.conversation import ChoiceMode, Effort, FormatKind
from headgate.model.dialect import Dialect
from headgate.model.events import Finish
from headgate.protocols.anthropic_messages import tables
from headgate.protocols.anthropic_messages.block_writer import WRITERS
from headgate.protocols.anthropic_messages.writing import ROOT


def test_every_member_is_in_its_table() -> None:
    assert set(tables.STOP_REASON) == set(Finish)
    assert set(tables.ROLE_WRITTEN) == set(Role)
    assert set(tables.CHOICE_WRITTEN) == set(ChoiceMode)
    assert set(tables.EFFORT_WRITTEN) == set(Effort)
    assert set(tables.FORMAT_WRITTEN) == set(FormatKind)
    assert set(WRITERS) == set(get_args(Block))
    assert set(ROOT) == set(Dialect)


def test_the_words_are_the_sdks() -> None:
    assert set(tables.STOP_REASON.values()) == set(get_args(StopReason))
    assert set(tables.FINISH) >= set(get_args(StopReason))
    tiers = get_args(get_args(Usage.model_fields["service_tier"].annotation)[0])
    assert set(tables.TIER_SAID.values()) <= set(tiers)
    efforts = str(OutputConfigParam.__annotations__["effort"])
    assert all(f'"{word}"' in efforts or f"'{word}'" in efforts for word in tables.EFFORT_READ)


def test_what_is_read_is_written_back() -> None:
    for word, finish in tables.FINISH.items():
        assert word == "compaction" or tables.STOP_REASON[finish] == word
    for word, mode in tables.CHOICE_READ.items():
        assert tables.CHOICE_WRITTEN[mode] == word
    for word, effort in tables.EFFORT_READ.items():
        assert tables.EFFORT_WRITTEN[effort] == word
    for word, role in tables.ROLE_READ.items():
        assert tables.ROLE_WRITTEN[role] == word
