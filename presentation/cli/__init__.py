"""The command line: `storage …`, or `python -m presentation.cli storage …` from a checkout."""
