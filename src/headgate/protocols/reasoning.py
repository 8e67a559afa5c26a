"""Effort and thinking budgets, each in the other's terms.

The shares of the output maximum are those of OpenRouter's documented rule ("Reasoning Tokens", Max Tokens for
Reasoning): budget = max(min(maximum × ratio, 128,000), 1,024).
"""

from typing import Final

from headgate.model.conversation import Effort, Reasoning

MIN_BUDGET: Final = 1_024
MAX_BUDGET: Final = 128_000

PERCENT: Final[dict[Effort, int]] = {
    Effort.NONE: 0,
    Effort.MINIMAL: 10,
    Effort.LOW: 20,
    Effort.MEDIUM: 50,
    Effort.HIGH: 80,
    Effort.XHIGH: 95,
    Effort.MAX: 95,
}
"""Share of the output maximum that may go into thinking."""


def budget_of(effort: Effort, max_output: int) -> int | None:
    """Return the tokens of thinking for an effort; None where it is none, or where `max_output` has no room for it.

    The budget is always less than `max_output`, as Anthropic demands.
    """
    if effort is Effort.NONE or max_output <= MIN_BUDGET:
        return None
    return min(max(min(max_output * PERCENT[effort] // 100, MAX_BUDGET), MIN_BUDGET), max_output - 1)


def effort_of(budget: int, max_output: int | None) -> Effort:
    """Return the least of low, medium and high whose budget is not below `budget`, high where none is.

    Every model that reasons takes these; the words beyond them are refused by many (GPT-5.1 knows no `minimal`, Claude
    Opus 4.6 no `xhigh`), so only a client that says one gets it. Without an output maximum the budget is compared with
    shares of 32,768.
    """
    whole = max_output or 32_768
    for effort in (Effort.LOW, Effort.MEDIUM):
        if budget <= (budget_of(effort, whole) or 0):
            return effort
    return Effort.HIGH


def wanted_effort(reasoning: Reasoning | None, max_output: int | None) -> Effort | None:
    """Return the effort that a client asked for in any way, None where it said nothing of it."""
    if reasoning is None:
        return None
    if reasoning.enabled is False:
        return Effort.NONE
    if reasoning.effort is not None:
        return reasoning.effort
    if reasoning.budget is not None:
        return effort_of(reasoning.budget, max_output)
    return Effort.MEDIUM if reasoning.enabled else None
