"""The DLMS server of one connection, sans-IO: an APDU in, the answers out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from device_drivers.dlms.channel import LONGEST_APDU
from device_drivers.dlms.counters import CounterStore
from device_drivers.dlms.security import Association, Guard
from device_drivers.dlms.services import CosemModel
from device_drivers.dlms.session import ServerIdentity, Session

__all__ = ["Association", "CosemModel", "DlmsServer"]


class DlmsServer:
    """Serves the objects of ``model`` to the clients named in ``associations``, by client SAP.

    ``counters`` outlives the connections: it keeps the highest counter received from each client (see
    :func:`device_drivers.dlms.counters.received_from`) and counts what is sent. A counter that comes twice
    is refused with the lowest that would do. ``on_authentication_failure`` is told the client SAP of each
    wrong password, key or challenge; ``guard`` may lock clients out. ``max_pdu`` is the longest APDU taken,
    in bytes.
    """

    def __init__(
        self,
        model: CosemModel,
        associations: Mapping[int, Association],
        system_title: bytes,
        counters: CounterStore,
        *,
        max_pdu: int = LONGEST_APDU,
        on_authentication_failure: Callable[[int], None] | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._guard = guard or Guard()
        self._server = ServerIdentity(
            model, system_title, counters, max_pdu, on_authentication_failure or _untold, self._guard
        )
        self._sessions = {
            sap: Session(self._server, association) for sap, association in associations.items()
        }

    def handle(self, apdu: bytes, client_sap: int) -> tuple[bytes, ...]:
        """What to send in answer to one APDU, in order: usually one APDU.

        None, as from a meter without that SAP, where nobody is known there.
        """
        session = self._sessions.get(client_sap)
        if session is None:
            if self._guard.refusal("client", "nobody is known there", client_sap):
                return ()
            session = Session(self._server, Association(client_sap))
        return session.handle(apdu)


def _untold(client_sap: int) -> None:
    """Nobody asked to be told."""
