"""The two keys of a connection, both kept in files: the lab's private one, and the controller's pinned one.

Nothing is taken from the home folder or an agent of whoever runs the harness.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from device_drivers.secrets import resolve, resolve_private
from harness.domain.errors import ConfigurationError, ControllerFault
from harness.domain.lab import Controller

if TYPE_CHECKING:
    from paramiko import HostKeys, PKey

_MAKE_A_KEY: Final = "make one with `ssh-keygen -t ed25519 -N ''`, and let the controller know its .pub"


def private_key(reference: str) -> PKey:
    """The key that the lab signs on with: Ed25519, ECDSA or RSA, without a passphrase.

    :class:`ConfigurationError` for a file that others may read, or that holds no such key.
    """
    from paramiko import ECDSAKey, Ed25519Key, PasswordRequiredException, RSAKey, SSHException

    text = resolve_private(reference).decode("ascii", "replace") + "\n"
    for kind in (Ed25519Key, ECDSAKey, RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text))
        except PasswordRequiredException:
            raise ConfigurationError(
                f"the private key at {reference} has a passphrase, and nobody is there to type it",
                remedy=_MAKE_A_KEY,
            ) from None
        except (SSHException, ValueError, IndexError):  # another kind, or none
            continue
    raise ConfigurationError(
        f"what is at {reference} is no private key of Ed25519, ECDSA or RSA", remedy=_MAKE_A_KEY
    )


def pinned_keys(reference: str) -> HostKeys:
    """The host keys of a known_hosts file; :class:`ConfigurationError` names a line that is none."""
    from paramiko import HostKeys, SSHException
    from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

    found = HostKeys()
    for number, line in enumerate(resolve(reference).decode("utf-8", "replace").splitlines(), 1):
        if not (line := line.strip()) or line.startswith("#"):
            continue
        try:
            entry = HostKeyEntry.from_line(" ".join(line.split()), number)
        except (InvalidHostKey, SSHException, ValueError, IndexError):
            entry = None
        if entry is None or line.startswith("@"):
            raise ConfigurationError(
                f"line {number} of the known_hosts at {reference} is no host key",
                remedy="keep there what `ssh-keyscan` prints of this controller, and nothing else",
            )
        for host in entry.hostnames:
            found.add(host, entry.key.get_name(), entry.key)
    return found


def pinned_name(settings: Controller) -> str:
    """How a known_hosts file calls the controller."""
    return settings.host if settings.port == 22 else f"[{settings.host}]:{settings.port}"


def hold_to_pin(told: PKey, pinned: Mapping[str, PKey] | None, settings: Controller) -> None:
    """Raise :class:`ControllerFault` unless the controller's host key is the one that is pinned."""
    name, file = pinned_name(settings), settings.known_hosts
    compare = (
        f"compare it with what `ssh-keygen -lf /etc/ssh/ssh_host_{_family(told)}_key.pub` says at its console"
    )
    pin = f"`ssh-keyscan -p {settings.port} {settings.host}`"
    if not pinned:
        raise ControllerFault(
            f"the host key of controller {name} is not pinned in {file}; "
            f"what answers there has {told.get_name()} {told.fingerprint}",
            remedy=f"{compare}; if they agree, keep the line of {pin} in that file",
        )
    if told != (expected := pinned.get(told.get_name())):
        expected = expected or next(iter(pinned.values()))
        raise ControllerFault(
            f"what answers as controller {name} is not the one that is pinned in {file}: "
            f"it has {told.get_name()} {told.fingerprint}, "
            f"pinned is {expected.get_name()} {expected.fingerprint}",
            remedy=f"was it set up anew? Then {compare}, and replace the line by that of {pin}. "
            "If it was not, somebody else answers in its place: leave it alone and find out who",
        )


def _family(key: PKey) -> str:
    return {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}.get(key.get_name(), "ecdsa")
