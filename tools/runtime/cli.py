"""The runtime's command line: `serve`, `run`, `verify`, `export`. Every flag is defined here, once, whichever program it is given to."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .cli_values import TOKEN, address, count, names, token
from .errors import LinkError

if TYPE_CHECKING:
    from typing import TypeVar

    T = TypeVar("T")

BIND = "127.0.0.1:7420"
INTERRUPTED = 130
_PROTOCOL = "Protocol: that of docs/wire.md, or the Open Inference Protocol v2 over HTTP.  [default: wire]"


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
        ("serve", _serve_flags, _serve, "Serve the cloud half of a bundle."),
        ("run", _run_flags, _run, "Run inputs through the edge half and a server."),
        ("verify", _verify_flags, _verify, "Replay the checks of a device kit on this machine."),
        ("export", _export_flags, _export, "Write a bundle for Triton, or a kit for the device."),
    ):
        command = commands.add_parser(name, help=about, description=about)
        command.set_defaults(action=action)
        add(command)
    return parser


def _serve_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="OUT", help="The bundle.")
    parser.add_argument("--bind", type=address, metavar="HOST:PORT", default=address(BIND), help=f"Where to listen.  [default: {BIND}]")
    parser.add_argument("--protocol", choices=("wire", "oip"), help=_PROTOCOL)
    _common_flags(parser)


def _run_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="OUT", help="The bundle, or a device kit.")
    parser.add_argument("source", metavar="INPUT", help="A folder of pictures, .npz, .npy, or - for raw frames on stdin.")
    parser.add_argument("--server", type=address, metavar="HOST:PORT", help="Where the cloud half is served.")
    parser.add_argument("--protocol", choices=("wire", "oip"), help=_PROTOCOL)
    _common_flags(parser)


def _common_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--token-file", type=Path, metavar="FILE", help=f"File with the token.  [default: ${TOKEN}]")
    parser.add_argument("--threads", type=count, metavar="N", help="Threads of onnxruntime.  [default: as the manifest says]")
    parser.add_argument("--providers", type=names, metavar="NAMES", help="Providers of onnxruntime, in order: cpu, cuda, or its own names.")


def _verify_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="KIT", help="The kit that export --to device wrote.")
    parser.add_argument("--json", action="store_true", help="Results as one JSON object on stdout.")
    parser.add_argument("-q", "--quiet", action="store_true", help="Errors only.")


def _export_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="OUT", help="The bundle.")
    parser.add_argument("--to", choices=("triton", "device"), required=True, help="What to write.")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="Folder for it: the model repository, or the kit.")
    parser.add_argument("--force", action="store_true", help="Write into a folder that holds other things.")
    parser.add_argument("-q", "--quiet", action="store_true", help="Errors only.")
    triton = parser.add_argument_group("triton")
    triton.add_argument("--name", metavar="NAME", help="Name of the model.  [default: the source model's]")
    triton.add_argument("--max-batch", type=count, metavar="N", help="Most samples in a batch.  [default: 8]")
    device = parser.add_argument_group("device")
    device.add_argument("--check", metavar="DATA", help="Samples for the kit's checks: .npz.  [default: seeded noise]")
    device.add_argument("--samples", type=count, metavar="N", help="How many samples are checked.  [default: 4]")


def _serve(args: argparse.Namespace) -> int:
    from .server import ServerSettings, serve

    host, port = args.bind
    return serve(settings_of(ServerSettings, args, host=host, port=port, token=token(args.token_file)))


def _run(args: argparse.Namespace) -> int:
    from .run import RunSettings, run

    return run(settings_of(RunSettings, args, token=token(args.token_file)))


def _verify(args: argparse.Namespace) -> int:
    from .verify import verify

    return verify(args.folder, as_json=args.json, quiet=args.quiet)


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
