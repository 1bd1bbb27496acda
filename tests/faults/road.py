"""A TCP proxy that is as bad as a road's radio: slow, stalling, silent, or cutting."""

import contextlib
import random
import selectors
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

_TURN_S = 0.002
_PIECE_BYTES = 1448  # what a packet carries


@dataclass(eq=False, slots=True)
class _Way:
    """One direction of a connection: what is under way, each piece with the time when it arrives."""

    start: socket.socket
    end: socket.socket
    under_way: deque[tuple[float, bytes]] = field(default_factory=deque)


class Road:
    """Carries connections to a port of this computer. delay_s: one way. stalls: share of packets that come late.

    A lost packet is sent again after stall_s, and what comes behind it waits, as TCP has it. While `silent`,
    nothing gets through and nobody is told, as in a tunnel or behind a router that forgot the connection.
    """

    def __init__(self, port: int, *, delay_s: float = 0.0, stalls: float = 0.0, stall_s: float = 0.3) -> None:
        self._target = port
        self._delay_s = delay_s
        self._stalls = stalls
        self._stall_s = stall_s
        self._chance = random.Random(5)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._ways: list[_Way] = []
        self._selector = selectors.DefaultSelector()
        self._stop = threading.Event()
        self._cut = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = int(self._server.getsockname()[1])
        self.silent = False
        self.connections = 0
        self.stalled = 0

    def __enter__(self) -> Self:
        self._server.setblocking(False)
        self._selector.register(self._server, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(10)
        self._hang_up()
        self._selector.close()
        self._server.close()

    def cut(self) -> None:
        """End every connection at once, with a reset."""
        self._cut.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            for key, _ in self._selector.select(_TURN_S):
                if key.fileobj is self._server:
                    self._accept()
                elif not self.silent:
                    self._take(key.data)
            if self._cut.is_set():
                self._cut.clear()
                self._hang_up()
            if not self.silent:
                for way in list(self._ways):
                    self._deliver(way)

    def _accept(self) -> None:
        client, _ = self._server.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:  # nobody listens there at the moment
            client.close()
            return
        self.connections += 1
        for start, end in ((client, server), (server, client)):
            start.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            way = _Way(start, end)
            self._ways.append(way)
            self._selector.register(start, selectors.EVENT_READ, way)

    def _take(self, way: _Way) -> None:
        try:
            data = way.start.recv(_PIECE_BYTES)
        except OSError:
            data = b""
        arrives_s = time.monotonic() + self._delay_s
        if data and self._chance.random() < self._stalls:
            arrives_s += self._stall_s
            self.stalled += 1
        if way.under_way:
            arrives_s = max(arrives_s, way.under_way[-1][0])
        way.under_way.append((arrives_s, data))
        if not data:
            self._selector.unregister(way.start)

    def _deliver(self, way: _Way) -> None:
        while way.under_way and way.under_way[0][0] <= time.monotonic():
            _, data = way.under_way.popleft()
            with contextlib.suppress(OSError):
                if data:
                    way.end.sendall(data)
                else:
                    way.end.shutdown(socket.SHUT_WR)

    def _hang_up(self) -> None:
        for way in self._ways:
            with contextlib.suppress(KeyError):
                self._selector.unregister(way.start)
            way.start.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            way.start.close()
        self._ways.clear()
