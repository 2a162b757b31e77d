"""No network: on PYTHONPATH, every Python process may speak to this machine and to no other.

What is tried fails as it does where there is no network: names are not found, other machines not reached. So notebooks
are executed with `PYTHONPATH=tests/offline`, and their kernels, which inherit it, are offline too.
"""

import errno
import os
import socket

NAMES = {"", "localhost", "localhost.localdomain", "0.0.0.0", "::", "::1", socket.gethostname()}


def _is_here(host) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    return name is None or name in NAMES or name.startswith("127.")


def _inside(method):
    """A socket's method whose first argument may be an address."""

    def guarded(self, *arguments):
        addresses = [value for value in arguments if isinstance(value, tuple)]
        if self.family in (socket.AF_INET, socket.AF_INET6) and not all(_is_here(address[0]) for address in addresses):
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        return method(self, *arguments)

    return guarded


class _Socket(socket.socket):
    connect = _inside(socket.socket.connect)
    connect_ex = _inside(socket.socket.connect_ex)
    sendto = _inside(socket.socket.sendto)


def _looked_up(function):
    """A look-up of names, which knows this machine's."""

    def guarded(host, *arguments, **options):
        if not _is_here(host):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return function(host, *arguments, **options)

    return guarded


socket.socket = socket.SocketType = _Socket
for _name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
    setattr(socket, _name, _looked_up(getattr(socket, _name)))
