"""Opens five viewers of a live picture: `python -m bench.viewers ADDRESS TOKEN`, until ended."""

import asyncio
import sys

from websockets.asyncio.client import connect

VIEWERS = 5


async def watch(address: str, token: str) -> None:
    """Take every live picture, for ever. Says `watching` when all have got their first."""
    first = asyncio.Barrier(VIEWERS + 1)

    async def one() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with connect(address, additional_headers=headers) as socket:
            told = False
            while True:
                await socket.send("next")
                while not isinstance(await socket.recv(), bytes):
                    pass
                if not told:
                    told = True
                    await first.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(VIEWERS):
            group.create_task(one())
        await first.wait()
        print("watching", flush=True)


if __name__ == "__main__":
    asyncio.run(watch(sys.argv[1], sys.argv[2]))
