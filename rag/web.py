"""What every door to the web needs: which names it answers to, and a socket to listen on. Standard library only.

A server of this computer must not be reached by other sites that the same browser visits: they can point a name of
theirs at 127.0.0.1, so a request is let in by the name that it used.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from rag.errors import UsageError

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """True if only this computer can reach `host`.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, False)
    """
    try:
        return host in _LOOPBACK or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def trusts(
    served: str, names: frozenset[str] = frozenset(), also: frozenset[str] = frozenset()
) -> Callable[[str], bool]:
    """Which names a request may use for a server bound to `served`.

    On loopback only loopback's names. Elsewhere also `names` and any plain address: rebinding needs a name. `also`:
    everywhere, those under which a balancer before it is known.
    """
    open_to_others = not is_loopback(served)

    def trusted(name: str) -> bool:
        if is_loopback(name) or name == served or name in also:
            return True
        return open_to_others and (name in names or _is_address(name))

    return trusted


def own_names(served: str) -> frozenset[str]:
    """The names of this computer, if others can reach `served`."""
    return frozenset() if is_loopback(served) else frozenset({socket.gethostname().lower(), socket.getfqdn().lower()})


def host_of(url: str) -> str:
    """The host of an address, in lower case; '' if it has none.

    >>> host_of("http://Localhost:80"), host_of("//[::1]:80"), host_of("null")
    ('localhost', '::1', '')
    """
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def listen(host: str, port: int, spare: int = 0) -> socket.socket:
    """A socket bound at `port`, or at the next free one of the `spare` after it. Raises UsageError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, port + spare + 1):
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
        except OSError as error:
            listener.close()
            reason = error.strerror or str(error)
        else:
            return listener
    raise UsageError(f"{host}:{port} cannot be used: {reason}", hint="choose another, for example --port 7900")


def address(host: str, port: int) -> str:
    """Where a browser on this computer finds it."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
