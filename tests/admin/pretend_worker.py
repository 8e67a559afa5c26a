"""A worker that serves nothing: it says that it is ready, beats once with known counters, and drains when told."""

import asyncio
import socket
import sys

from tests.admin.counters import counters

from headgate.runtime.control import Beat, Channel, Drain, Ready, Start


async def main() -> None:
    channel = await Channel.open(socket.socket(fileno=int(sys.argv[-1])))
    assert isinstance(await channel.receive(), Start)
    channel.send(Beat(counters()))
    channel.send(Ready(7))
    while (message := await channel.receive()) is not None and not isinstance(message, Drain):
        continue
    await channel.close()


if __name__ == "__main__":
    asyncio.run(main())
