"""What the demo tells people at its end: sums, what happened, what was checked, and what to type next."""

import shlex
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from headgate.ledger.views import Usage
from headgate.model.money import format_usd
from headgate.surfaces.cli.output import say, table
from headgate.surfaces.demo.figures import fresh_of, money, total_cost
from headgate.surfaces.demo.place import Place
from headgate.surfaces.demo.scenario import REST_S
from headgate.surfaces.demo.screen import COMPACT
from headgate.surfaces.demo.summary import Left, Summary

_WIDEST = 100
_INDENT = "  "


def commands(summary: Summary, place: Place, folder: Path) -> list[str]:
    """Return what to type next, from `folder`; the last one is for one's own providers."""
    program = shlex.quote(program_name(folder))
    config = f"--config {shlex.quote(str(place.config))}"
    shown = summary.saved[0].call if summary.saved else summary.left[0].call if summary.left else ""
    found = [f"{program} calls {config}", f"{program} usage --by provider {config}"]
    if shown:
        found.append(f"{program} calls show {shown} {config}")
    return [*found, f"{program} serve"]


def program_name(folder: Path) -> str:
    """Return how this very program is called in a shell that stands in `folder`."""
    own = Path(sys.executable).with_name("headgate")
    found = shutil.which("headgate")
    if not own.exists() or (found is not None and Path(found).exists() and Path(found).samefile(own)):
        return "headgate"
    return str(own.relative_to(folder)) if own.is_relative_to(folder) else str(own)


def tell(summary: Summary, place: Place, next_: Sequence[str], width: int) -> None:
    """Print the summary; `width` in columns."""
    wrap = textwrap.TextWrapper(min(width, _WIDEST), break_long_words=False, break_on_hyphens=False)
    hang = textwrap.TextWrapper(wrap.width, initial_indent="- ", subsequent_indent=_INDENT, break_long_words=False)
    total = summary.total
    say("")
    for text in wrap.wrap("What the ledger holds, read back from"):
        say(text)
    say(f"{_INDENT}{place.folder / 'headgate.db'}")
    say("")
    _sums("model", "calls", summary.models, width)
    say("")
    _sums("provider", "tries", summary.providers, width)
    say("")
    unknown = f", and {total.unknown_cost} of unknown cost" if total.unknown_cost else ""
    for text in wrap.wrap(
        f"{total.requests} calls, {summary.attempts} attempts: ${format_usd(total.cost_nano)}{unknown}. "
        f"Caches saved ${format_usd(total.savings_nano)}."
    ):
        say(text)
    say("")
    for story in _stories(summary):
        for text in hang.wrap(story):
            say(text)
    say("")
    for check in summary.checks:
        hang.initial_indent = "ok " if check.ok else "WRONG "
        for text in hang.wrap(f"{check.name}: {check.found}"):
            say(text)
    say("")
    for text in wrap.wrap("The folder stays. Go on with:"):
        say(text)
    for command in next_[:-1]:
        say(_INDENT + command)
    for text in wrap.wrap("With your own providers, from the keys in your environment:"):
        say(text)
    say(_INDENT + next_[-1])


def _sums(title: str, counted: str, groups: Sequence[Usage], width: int) -> None:
    """Print sums by group; where there is no room for them all, the count and the cost."""
    columns = [title, counted, "fresh", "written", "cached", "out", "cost", "saved"]
    kept = range(len(columns)) if width >= COMPACT else (0, 1, 6)
    rows = []
    for group in groups:
        written = group.cache_write_5m + group.cache_write_1h
        tokens = (fresh_of(group) - written, written, group.cache_read, group.output)
        cost = total_cost(group)
        money_ = (cost if cost == "unknown" else f"${cost}", f"${money(group.savings_nano, 6)}")
        row = (str(group.group), str(group.requests), *map(str, tokens), *money_)
        rows.append([row[at] for at in kept])
    names = [columns[at] for at in kept]
    table(names, rows, numeric=names[1:])


def _stories(summary: Summary) -> list[str]:
    found = []
    for one in summary.saved:
        failed = ", ".join(one.failed)
        found.append(
            f"Saved by fallback: {failed}; {one.answered} answered, and the client saw nothing of it. "
            f"The failed attempt cost ${format_usd(one.failed_cost_nano)}. It asked for {REST_S} s of rest, "
            "so the next call did not try it."
        )
    found += [_story_of_left(one) for one in summary.left]
    if summary.unpriced:
        found.append(
            f"{len(summary.unpriced)} call went to a model without a price: its cost is unknown, which is not zero. "
            "Its tokens are counted."
        )
    return found


def _story_of_left(one: Left) -> str:
    if one.cost_nano is None:
        return f"A client left a stream of {one.route}: its cost is unknown."
    gap = one.cost_nano - one.billed_nano
    compared = "as much" if gap == 0 else f"${format_usd(abs(gap))} {'less' if gap > 0 else 'more'}"
    return (
        f"A client left a stream of {one.route}. No usage came, so the ledger says ${format_usd(one.cost_nano)}, "
        f"{one.basis}: the input, and the text that was streamed taken for more tokens than it is likely to hold. "
        f"The simulator bills ${format_usd(one.billed_nano)}, {compared}."
    )
