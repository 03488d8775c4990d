"""The command line of the web pages: `web.py` in a checkout, `vigil web` where Vigil is installed."""

import argparse
from pathlib import Path

from .access import SESSION_S
from .passwords import AUTH_VARIABLE

EXAMPLES = f"""examples:
  python web.py                                      http://127.0.0.1:7860, asking http://127.0.0.1:8000/v1
  python web.py --demo                               serves the tiny model as well: no server needed
  python web.py --url http://10.0.0.5:8000/v1 --key-file server.key
  python web.py --config my-cameras                  the cameras of configs/watch/my-cameras.yaml
  python web.py --auth users.txt --hash-passwords    users.txt has name:password lines: replaces them with hashes
  python web.py --host 0.0.0.0 --auth users.txt --tls-cert cert.pem --tls-key key.pem
  python web.py --auth users.txt --trusted-proxy 127.0.0.1 --root-path /vigil    behind https://HOST/vigil/
  {AUTH_VARIABLE}=name:password python web.py --host 0.0.0.0
"""


def parser(program: str) -> argparse.ArgumentParser:
    """The parser of all options; help and errors name the `program`."""
    parser = argparse.ArgumentParser(
        prog=program,
        description=(
            "Vigil's service: a watch with a REST and event API (docs/service.md), without web pages."
            if program.endswith("service")
            else "Vigil's web pages: chat, analysis of videos and cameras, the watch room, the review of events."
        ),
        epilog=EXAMPLES if program == "web.py" else EXAMPLES.replace("python web.py", program),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_address(parser)
    _add_endpoint(parser)
    _add_cameras(parser)
    _add_limits(parser)
    return parser


def _add_address(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("Address and users").add_argument
    add("--host", default="127.0.0.1", help="address to listen on (127.0.0.1); any other needs --auth")
    add("--port", type=int, default=7860, help="port to listen on (7860)")
    add("--auth", metavar="FILE", help=f"a file with name:password, one a line (else ${AUTH_VARIABLE})")
    add(
        "--hash-passwords",
        action="store_true",
        help="replace the passwords in the --auth file with argon2 hashes, and exit",
    )
    add(
        "--viewers", action="append", default=[], metavar="NAMES", help="users who may view and ask, but change nothing"
    )
    add("--session-hours", type=float, default=SESSION_S / 3600, help="hours until users must sign in again (12)")
    add("--tls-cert", type=Path, metavar="FILE", help="serve https: the certificate chain, as PEM")
    add("--tls-key", type=Path, metavar="FILE", help="private key of the certificate, as PEM without a password")
    add(
        "--trusted-proxy",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="reverse proxy (address or network) whose forwarding headers are trusted; needs --auth",
    )
    add(
        "--root-path",
        default="",
        metavar="PATH",
        help="path of the pages behind a reverse proxy, such as /vigil; needs --auth (docs/web.md has nginx and Caddy)",
    )


def _add_endpoint(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("Endpoint and model").add_argument
    add("--url", help="OpenAI-compatible endpoint (default: from the configuration)")
    add("--model", help="served model; may be omitted if there is only one")
    add("--model-dir", type=Path, help="model folder, for its contract and calibration")
    add("--key-file", type=Path, help="file with the endpoint's key (else $VIGIL_API_KEY; .vigil/key on this machine)")
    add("--ca-file", type=Path, help="certificates of your own authority, for https (default: $SSL_CERT_FILE)")
    add("--task", help="task name or YAML file")
    add("--demo", action="store_true", help="serve the tiny model (unless --url is given), and watch a drawn video")


def _add_cameras(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("Watch and cameras").add_argument
    add("--config", default="default", help="settings in configs/watch, by name or path (default)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="any other setting of the watch")
    add("--store", help="event store: a file or a database URL (default: from the configuration)")
    add(
        "--allow-camera",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="camera that visitors may open: host and port (10.0.0.7:554, [::1]:80), or a webcam number",
    )
    add("--allow-any-camera", action="store_true", help="let visitors open any camera, by camera.txt")


def _add_limits(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("Uploads and limits").add_argument
    add("--folder", type=Path, default=Path("outputs/web"), help="folder for uploads and the audit log (outputs/web)")
    add("--upload-mb", type=int, default=500, help="largest upload in MB (500)")
    add("--uploads-visitor-mb", type=int, help="upload space per visitor in MB (2000, or four of the largest files)")
    add("--uploads-total-mb", type=int, help="upload space in total in MB (10000, or five visitors' space)")
    add("--keep-free-mb", type=int, default=500, help="disk space in MB that uploads must leave free (500)")
    add("--keep-uploads-min", type=float, default=60.0, help="minutes after which unused uploads are removed (60)")
    add("--connections", type=int, help="connections in total (1024, or a quarter of `ulimit -n`)")
    add("--connections-per-address", type=int, help="connections per address (a quarter of the total)")
