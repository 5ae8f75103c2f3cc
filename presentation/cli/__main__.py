"""Where the command line starts."""

from __future__ import annotations

import os
import signal
import sys

from presentation.cli.ending import ending, importing


def storage() -> None:
    """Run the `storage` command with this process's arguments."""
    # Our settings need no pydantic plugin, and looking for one reads the metadata of every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a key must be shown on any terminal
    try:
        with ending():
            with importing():
                from presentation.cli.app import application

                app = application(sys.argv[1] if len(sys.argv) > 1 else "")
            app(prog_name="storage")
    finally:
        # What was to be done is done and told; an interrupt of the interpreter's own end would only look like a crash.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def main() -> None:
    """`python -m presentation.cli storage …`: the word `storage` may stand there or not."""
    if sys.argv[1:2] == ["storage"]:
        del sys.argv[1]
    storage()


if __name__ == "__main__":
    main()
