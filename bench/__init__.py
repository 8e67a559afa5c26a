"""The comparison with nginx on one core: `python -m bench`. See RESULTS.md."""
