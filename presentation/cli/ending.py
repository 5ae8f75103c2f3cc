"""How a command ends: whatever went wrong becomes one sentence on stderr and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec

from presentation.cli.exit_codes import CONFIGURATION, INTERNAL, INTERRUPTED, NO_ROOM


@contextmanager
def ending() -> Iterator[None]:
    """In its block errors end the program as they should. Usage errors pass: typer shows them."""
    try:
        yield
        # Here, where a full disk or a closed pipe behind stdout can still be told; at exit it would be a traceback.
        sys.stdout.flush()
    except KeyboardInterrupt:
        _say("interrupted; nothing was left half-written")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        _give_up_stdout()  # whoever read our output, such as `head`, has had enough
        sys.exit(0)
    except OSError as error:
        from domain.local_files import is_no_room

        if not is_no_room(error):
            _internal(error)
        _give_up_stdout()
        _say(f"can't write the output: {error.strerror}; free some space and run this again")
        sys.exit(NO_ROOM)
    except Exception as error:
        from domain.errors import StorageError

        if isinstance(error, StorageError):
            from presentation.cli.output import report_error

            sys.exit(report_error(error))
        import typer

        if hasattr(error, "exit_code") or isinstance(error, typer.Abort):
            raise  # typer's own: a usage error, a no to a question, the end of --help
        _internal(error)


@contextmanager
def importing() -> Iterator[None]:
    """In its block, where the program's parts are imported, another package of the same name is said clearly."""
    ours = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for name in ("domain", "application", "infrastructure", "config"):
        spec = find_spec(name)
        folders = list(spec.submodule_search_locations or []) if spec else []
        place = folders[0] if folders else spec.origin if spec else None
        if place and os.path.dirname(os.path.abspath(place)) != ours:
            _say(
                f"the package {name!r} that Python finds first ({place}) is not Lading's; take it off PYTHONPATH, "
                "or run from another folder"
            )
            sys.exit(CONFIGURATION)
    yield


def _internal(error: Exception) -> None:
    if os.environ.get("STORAGE_DEBUG", "0") not in {"", "0", "false"}:
        raise error
    _say(
        f"internal error ({type(error).__name__}: {error}); set STORAGE_DEBUG=1, run it again, and report what it prints"
    )
    sys.exit(INTERNAL)


def _say(sentence: str) -> None:
    with suppress(OSError):
        print(f"storage: {sentence}", file=sys.stderr)


def _give_up_stdout() -> None:
    # What is still in the buffer would be flushed at exit, and fail again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
