"""What a person sees who waits: each stage, and about how long is left."""

import sys


def say(text: str) -> None:
    """Tell the person who waits; the tables alone go to standard output."""
    print(text, file=sys.stderr, flush=True)


class Progress:
    """Announces stages. `stages` are names with the seconds that each is expected to take."""

    def __init__(self, stages: dict[str, float]) -> None:
        self.stages = stages
        self._names = list(stages)

    def begin(self, name: str) -> None:
        """Say that a stage begins. Raises ValueError for a name that is no stage."""
        at = self._names.index(name)
        left = sum(self.stages[later] for later in self._names[at:])
        say(f"[{at + 1}/{len(self._names)}] {name} · {span(left)} left")


def span(seconds: float) -> str:
    """Return a rough length of time in words."""
    return f"about {max(10, round(seconds, -1)):.0f} s" if seconds < 90 else f"about {seconds / 60:.0f} min"
