"""Headgate: a gateway for language-model traffic that knows what every token costs."""

__version__ = "0.1.0"
