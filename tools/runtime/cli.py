"""The runtime's command line: `serve`, `run`, `verify`, `export`. Every flag is defined here, once, whichever program it is given to."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from .cli_flags import export_flags, run_flags, serve_flags, verify_flags
from .cli_values import token
from .errors import LinkError

if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")

INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are LinkErrors (AS800), and that takes no abbreviated flags."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        """Take what argparse takes."""
        super().__init__(*args, allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Raise LinkError."""
        raise LinkError("AS800", message, "command line", f"{self.prog} --help")


def run(words: Sequence[str], program: str) -> int:
    """Run a command and return its exit code. Raises LinkError: AS800 the command line; what the command raises."""
    try:
        args = _parser(program).parse_args(list(words))
    except SystemExit as end:
        return int(end.code or 0)
    return args.action(args)


def main(words: Sequence[str] | None = None, program: str = "python -m autosplitc.runtime") -> int:
    """Run a command, show what stops it on stderr, and return the exit code."""
    try:
        return run(sys.argv[1:] if words is None else words, program)
    except LinkError as error:
        sys.stderr.write(f"{error.text()}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED


def settings_of(kind: Callable[..., T], args: argparse.Namespace, **given: Any) -> T:
    """Return a dataclass of settings: each field from `given`, else from the flag of its name where that was given, else its default."""
    known = inspect.signature(kind).parameters
    flags = {name: value for name, value in vars(args).items() if value is not None and name in known}
    return kind(**{**flags, **given})


def _parser(program: str) -> Parser:
    parser = Parser(prog=program, description="Run the two halves of a bundle that autosplitc wrote.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, add, action, about in (
        ("serve", serve_flags, _serve, "Serve the cloud half of a bundle."),
        ("run", run_flags, _run, "Run inputs through the edge half and a server."),
        ("verify", verify_flags, _verify, "Replay the checks of a device kit on this machine."),
        ("export", export_flags, _export, "Write a bundle for Triton, or a kit for the device."),
    ):
        command = commands.add_parser(name, help=about, description=about)
        command.set_defaults(action=action)
        add(command)
    return parser


def _serve(args: argparse.Namespace) -> int:
    from .server import serve
    from .server_settings import ServerSettings

    host, port = args.bind
    return serve(settings_of(ServerSettings, args, host=host, port=port, token=token(args.token_file)))


def _run(args: argparse.Namespace) -> int:
    from .run import RunSettings, run

    return run(settings_of(RunSettings, args, token=token(args.token_file)))


def _verify(args: argparse.Namespace) -> int:
    from .verify import verify

    return verify(args.folder, as_json=args.as_json, quiet=args.quiet)


def _export(args: argparse.Namespace) -> int:
    if args.to == "triton":
        from .export_triton import TritonSettings, export_triton

        written = export_triton(settings_of(TritonSettings, args))
    else:
        from .export_device import DeviceSettings, export_device

        written = export_device(settings_of(DeviceSettings, args))
    if not args.quiet:
        sys.stdout.write(f"wrote {written}\n")
    return 0
