"""Who the lab is towards the DCC, and whom it believes."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from device_drivers.dcc.pki import (
    MISFITS,
    OTHER_PARTIES,
    SUCCESSOR,
    SimulatedPki,
    client_context,
    server_context,
    stranger,
)
from device_drivers.dcc.signature import Ring, Signer
from harness.domain.errors import BeyondLab, ConfigurationError, UsageError
from harness.domain.instruments import Certified
from harness.domain.lab import Lab
from harness.domain.words import UserRole


@dataclass(frozen=True, slots=True)
class User:
    """The lab's User identity in one User Role."""

    role: UserRole
    eui: str
    signer: Signer


@dataclass(frozen=True, slots=True)
class Identities:
    """The lab's users by role, the certificates that it believes, and its ends of the TLS connections."""

    users: Mapping[UserRole, User]
    dcc: Ring  # who may sign what the DCC sends
    s1sp: Ring  # who may sign the SMETS1 response inside
    to_gateway: ssl.SSLContext | None
    to_receive: ssl.SSLContext | None
    misfit: Callable[[UserRole, str], User] | None = None  # see :meth:`another`

    def user(self, role: UserRole) -> User:
        """The identity in that role; :class:`UsageError` where the lab has none."""
        if role not in self.users:
            raise UsageError(
                f"the lab has no User identity in role {role}",
                remedy=f"dcc.users in the lab file names {', '.join(self.users) or 'none'}",
            )
        return self.users[role]

    def another(self, role: UserRole, what: str) -> User:
        """Who is no good in that role, of :data:`~.pki.MISFITS` or ``another party``, or its ``successor``.

        :class:`BeyondLab` where the lab has no such identity, for only a simulated DCC knows them.
        """
        if self.misfit is None or str(role) not in OTHER_PARTIES:
            raise BeyondLab(
                f"this lab has no identity of role {role} that is {what}",
                remedy="only a simulated lab has some, of its suppliers",
            )
        return self.misfit(role, what)


def stranger_signer(eui: str) -> Signer:
    """Signs as that EUI-64 with a key that nobody knows."""
    pair = stranger(eui)
    return Signer(pair.key, pair.certificate)


def simulated_pki(lab: Lab) -> SimulatedPki:
    """The keys of a simulated lab."""
    return SimulatedPki(lab.state / "dcc" / "keys")


def certified(lab: Lab, role: UserRole, *, successor: bool = False) -> Certified:
    """The lab's signing certificate in a role. Its issuer's is ``issuing`` of ``dcc.trust`` (PEM).

    Its ``successor`` exists in a simulated lab only: :class:`BeyondLab` elsewhere.
    """
    found = [user for user in lab.dcc.users if user.role is role]
    if not found:
        raise UsageError(f"the lab has no User identity in role {role}", remedy="add it to dcc.users")
    (user,) = found
    if lab.dcc.gateway == "simulated":
        pki = simulated_pki(lab)
        pair = pki.successor(role, user.eui) if successor else pki.user(role, user.eui)
        certificate, issuer = pair.certificate, pki.signing_authority
    elif successor:
        raise BeyondLab(
            f"this lab has no second certificate of role {role}", remedy="only a simulated lab has one"
        )
    else:
        resolve, _ = _resolvers(lab)
        issuing = lab.dcc.trust.get("issuing")
        certificate, issuer = resolve(user.certificate), resolve(issuing) if issuing else b""
    return Certified(user.eui, _der(certificate), _der(issuer) if issuer else b"")


def _der(pem: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.decode("ascii"))


def simulated_identities(lab: Lab) -> Identities:
    """The user's end of a simulated lab, with keys of the lab's own making."""
    pki = simulated_pki(lab)
    pairs = {
        identity.role: (identity.eui, pki.user(identity.role, identity.eui)) for identity in lab.dcc.users
    }
    return Identities(
        users={
            role: User(role, eui, Signer(pair.key, pair.certificate)) for role, (eui, pair) in pairs.items()
        },
        dcc=Ring({"dcc": pki.dcc(lab.dcc.dcc_eui).certificate}),
        s1sp=Ring({"s1sp": pki.s1sp().certificate}),
        to_gateway=client_context(pki.tls_authority, pki.tls("user")),
        to_receive=server_context(*pki.tls("user"), pki.tls_authority),
        misfit=lambda role, what: _misfit(lab, pki, role, what),
    )


def _misfit(lab: Lab, pki: SimulatedPki, role: UserRole, what: str) -> User:
    if what == "another party":
        eui = OTHER_PARTIES[role]
        pair = pki.user(role, eui)
    elif what == SUCCESSOR:
        eui = next(user.eui for user in lab.dcc.users if user.role is role)
        pair = pki.successor(role, eui)
    elif what in MISFITS:
        eui = next(user.eui for user in lab.dcc.users if user.role is role)
        pair = pki.misfit(what, role, eui)
    else:
        raise UsageError(
            f"no identity is called {what!r}",
            remedy=f"say {', '.join(MISFITS)}, {SUCCESSOR} or another party",
        )
    return User(role, eui, Signer(pair.key, pair.certificate))


def named_identities(lab: Lab) -> Identities:
    """The user's end of a lab with a DCC outside, from the references in its lab file.

    Of ``dcc.trust``, certificates whose name begins with ``s1sp`` may sign SMETS1 responses, all others
    what the DCC sends. ``dcc.tls`` holds ``ca``, ``certificate`` and ``key``, each PEM.
    """
    resolve, resolve_private = _resolvers(lab)
    trust = {name: resolve(reference) for name, reference in lab.dcc.trust.items()}
    tls = _named_tls(lab)
    return Identities(
        users={
            user.role: User(user.role, user.eui, Signer(resolve_private(user.key), resolve(user.certificate)))
            for user in lab.dcc.users
        },
        dcc=Ring({name: pem for name, pem in trust.items() if not name.startswith("s1sp")}),
        s1sp=Ring({name: pem for name, pem in trust.items() if name.startswith("s1sp")}),
        to_gateway=tls["to_gateway"],
        to_receive=tls["to_receive"],
    )


def _resolvers(lab: Lab) -> tuple[Callable[[str], bytes], Callable[[str], bytes]]:
    """What gives a certificate, and what gives a key."""
    from device_drivers.secrets import resolve, resolve_private

    base = lab.file.parent
    return partial(resolve, base=base), partial(resolve_private, base=base)


def _named_tls(lab: Lab) -> dict[str, ssl.SSLContext | None]:
    secure = lab.dcc.gateway.startswith("https:")
    missing = [name for name in ("ca", "certificate", "key") if not lab.dcc.tls.get(name)]
    if secure and missing:
        raise ConfigurationError(
            f"{lab.file}: dcc.gateway is https, and dcc.tls names no {' and no '.join(missing)}",
            remedy="name ca, certificate and key by reference: both ends prove who they are",
        )
    if not secure:
        return {"to_gateway": None, "to_receive": None}
    resolve, resolve_private = _resolvers(lab)
    with tempfile.TemporaryDirectory() as folder:  # OpenSSL reads certificates from files only
        files = {name: Path(folder) / name for name in lab.dcc.tls}
        for name, file in files.items():
            file.touch(mode=0o600)
            content = (resolve_private if name == "key" else resolve)(lab.dcc.tls[name])
            file.write_bytes(content + b"\n")
        own, authority = (files["certificate"], files["key"]), files["ca"]
        return {"to_gateway": client_context(authority, own), "to_receive": server_context(*own, authority)}
