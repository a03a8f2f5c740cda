"""The flags of `serve`, `run`, `verify` and `export`; what they fill are the fields of the same names of the settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .cli_values import TOKEN, address, count, providers, seconds, size_bytes
from .client_settings import FALLBACKS

if TYPE_CHECKING:
    from argparse import ArgumentParser

BIND = "127.0.0.1:7420"
PROTOCOLS = ("wire", "oip")
_PROTOCOL = "That of docs/wire.md, or the Open Inference Protocol v2 over HTTP.  [default: wire]"
_MODEL = "With --protocol oip: what the model is called.  [default: the source model's name]"


def serve_flags(parser: ArgumentParser) -> None:
    """Add the flags of `serve`."""
    add = parser.add_argument
    add("folder", type=Path, metavar="OUT", help="The bundle.")
    add("--bind", type=address, metavar="HOST:PORT", default=address(BIND), help=f"Where to listen; port 0: a free one.  [default: {BIND}]")
    add("--protocol", choices=PROTOCOLS, help=_PROTOCOL)
    add("--model", metavar="NAME", help=_MODEL)
    add("--http", type=address, metavar="HOST:PORT", help="Health and metrics over HTTP there.")
    _runtime_flags(parser)
    safety = parser.add_argument_group("who may come").add_argument
    safety("--token-file", type=Path, metavar="FILE", help=f"File with the token that clients must show.  [default: ${TOKEN}]")
    safety("--cert", dest="certificate", type=Path, metavar="PEM", help="Certificate: TLS.")
    safety("--key", type=Path, metavar="PEM", help="Its key.")
    safety("--client-ca", type=Path, metavar="PEM", help="Clients need a certificate of this authority: mutual TLS.")
    safety("--insecure", action="store_true", default=None, help="Serve beyond this machine without TLS or token.")
    limits = parser.add_argument_group("batching and limits").add_argument
    limits("--max-batch", type=count, metavar="N", help="Most samples that run together.  [default: 8]")
    limits("--max-wait", dest="max_wait_s", type=seconds, metavar="TIME", help="How long a sample waits for others.  [default: not]")
    limits("--workers", type=count, metavar="N", help="Batches that run at once.  [default: 1]")
    limits("--max-samples", type=count, metavar="N", help="Most samples in a request.  [default: 64]")
    limits("--queue", type=count, metavar="N", help="Most samples that wait.  [default: 256]")
    limits("--queue-wait", dest="queue_wait_s", type=seconds, metavar="TIME", help="Time a request waits for room.  [default: 1s]")
    limits("--max-in-flight", type=count, metavar="N", help="Most requests of one client under way.  [default: 32]")
    limits("--max-connections", type=count, metavar="N", help="Most clients.  [default: 2000]")
    limits("--memory", dest="memory_bytes", type=size_bytes, metavar="SIZE", help="For all requests.  [default: 256MiB]")
    limits("--handshake", dest="handshake_s", type=seconds, metavar="TIME", help="For a client to say who it is.  [default: 5s]")
    limits("--body", dest="body_s", type=seconds, metavar="TIME", help="For a request to come in.  [default: 10s]")
    limits("--write", dest="write_s", type=seconds, metavar="TIME", help="For an answer to be read.  [default: 30s]")
    limits("--drain", dest="drain_s", type=seconds, metavar="TIME", help="For what is in flight at SIGTERM.  [default: 10s]")


def run_flags(parser: ArgumentParser) -> None:
    """Add the flags of `run`."""
    add = parser.add_argument
    add("folder", type=Path, metavar="OUT", help="The bundle, or a device kit.")
    add("source", metavar="INPUT", help="A folder of pictures, an .npz or .npy, or - for raw frames on stdin.")
    add("--server", type=address, metavar="HOST:PORT", help="Where the cloud half is served; none for Edge-Only.")
    add("--protocol", choices=PROTOCOLS, help=_PROTOCOL)
    add("--model", metavar="NAME", help=_MODEL)
    add("--repeat", type=count, metavar="N", help="Go over INPUT so many times.")
    add("--limit", type=count, metavar="N", help="At most so many frames.")
    add("-o", "--output", type=Path, metavar="FILE", help=".npz for the outputs of all frames.")
    add("--jsonl", type=Path, metavar="FILE", help="A line a frame: answer, times.")
    add("--json", action="store_true", default=None, help="The summary as one JSON object on stdout.")
    add("-q", "--quiet", action="store_true", default=None, help="No line a frame.")
    _runtime_flags(parser)
    safety = parser.add_argument_group("who is who").add_argument
    safety("--token-file", type=Path, metavar="FILE", help=f"File with the token to show.  [default: ${TOKEN}]")
    safety("--tls", action="store_true", default=None, help="TLS, with the system's authorities.")
    safety("--ca", type=Path, metavar="PEM", help="TLS, with this authority.")
    safety("--cert", dest="certificate", type=Path, metavar="PEM", help="Certificate of this client: mutual TLS.")
    safety("--key", type=Path, metavar="PEM", help="Its key.")
    safety("--server-name", metavar="NAME", help="Name in the server's certificate.  [default: HOST]")
    safety("--insecure", action="store_true", default=None, help="Send the token to another machine without TLS.")
    link = parser.add_argument_group("the link").add_argument
    link("--fallback", choices=FALLBACKS, help="Without the cloud: an error, wait, or the bundle's own model.  [default: error]")
    link("--deadline", dest="deadline_s", type=seconds, metavar="TIME", help="For an answer.  [default: 10s]")
    link("--window", type=count, metavar="N", help="Most requests in flight.  [default: 4]")
    link("--queue", type=count, metavar="N", help="With --fallback queue: how many more are kept.  [default: 64]")
    link("--heartbeat", dest="heartbeat_s", type=seconds, metavar="TIME", help="Idle time before a ping.  [default: 5s]")
    link("--dead", dest="dead_s", type=seconds, metavar="TIME", help="Silence after which the link counts as broken.  [default: 15s]")


def verify_flags(parser: ArgumentParser) -> None:
    """Add the flags of `verify`."""
    parser.add_argument("folder", type=Path, metavar="KIT", help="The kit that export --to device wrote.")
    parser.add_argument("--json", dest="as_json", action="store_true", help="Results as one JSON object on stdout.")
    parser.add_argument("-q", "--quiet", action="store_true", help="Errors only.")


def export_flags(parser: ArgumentParser) -> None:
    """Add the flags of `export`."""
    add = parser.add_argument
    add("folder", type=Path, metavar="OUT", help="The bundle.")
    add("--to", choices=("triton", "device"), required=True, help="What to write.")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="Folder for it: the model repository, or the kit.")
    add("--force", action="store_true", default=None, help="Write into a folder that holds other things.")
    add("-q", "--quiet", action="store_true", help="Errors only.")
    triton = parser.add_argument_group("triton").add_argument
    triton("--model", metavar="NAME", help="What the model is called.  [default: the source model's name]")
    triton("--max-batch", type=count, metavar="N", help="Most samples in a batch.  [default: 8]")
    device = parser.add_argument_group("device").add_argument
    device("--check", metavar="DATA", help="What the checks feed: as INPUT of run.  [default: seeded noise]")
    device("--samples", type=count, metavar="N", help="How many samples are checked.  [default: 4]")


def _runtime_flags(parser: ArgumentParser) -> None:
    parser.add_argument("--providers", type=providers, metavar="NAMES", help="Of onnxruntime, in order: cuda,cpu or its own names.")
    parser.add_argument("--threads", type=count, metavar="N", help="Of onnxruntime.  [default: as the manifest says]")
