"""torchrun for one machine, out of the network's reach: `python -m vae_helpers.train.torchrun` with its own options.

torchrun's store listens on every interface, with --standalone and with an endpoint of 127.0.0.1 as well, and unpickles
what it finds there. Here it listens on the loopback interface alone.
"""

from __future__ import annotations

import socket
import sys

from torch.distributed import TCPStore
from torch.distributed.elastic.rendezvous import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStoreInfo,
    rendezvous_handler_registry,
)
from torch.distributed.run import main

_LOOPBACK = "127.0.0.1"


class _LoopbackRendezvous(RendezvousHandler):
    """Where the processes of one machine meet, see torch's RendezvousHandler."""

    use_agent_store = True  # the processes use the store of the one that starts them

    def __init__(self, parameters: RendezvousParameters):
        self._run_id, self._closed = parameters.run_id, False

    def get_backend(self) -> str:
        return "loopback"

    def next_rendezvous(self) -> RendezvousInfo:
        listener = socket.create_server((_LOOPBACK, 0))
        port = listener.getsockname()[1]
        store = TCPStore(_LOOPBACK, port, is_master=True, wait_for_workers=False, master_listen_fd=listener.detach())
        return RendezvousInfo(store, 0, 1, RendezvousStoreInfo(_LOOPBACK, port))

    def is_closed(self) -> bool:
        return self._closed

    def set_closed(self) -> None:
        self._closed = True

    def num_nodes_waiting(self) -> int:
        return 0

    def get_run_id(self) -> str:
        return self._run_id

    def shutdown(self) -> bool:
        self._closed = True
        return True


if __name__ == "__main__":
    rendezvous_handler_registry.register("loopback", _LoopbackRendezvous)
    # The endpoint is what keeps torchrun from looking for one of its own.
    main(["--rdzv-backend", "loopback", "--rdzv-endpoint", _LOOPBACK, *sys.argv[1:]])
