"""Shapes with asyncio's tasks."""

from __future__ import annotations

from tests.attack.shapes import Shape

_GET = """
@start
@flush
async def get(doc):
    await asyncio.sleep(doc % 3 * 0.0005)
    return encode(doc)

"""

TASKS: dict[str, Shape] = {
    "async, one task": Shape(
        _GET
        + """
async def main():
    @declare
    for doc in documents():
        checkpoint()
        @fill await get(doc)

asyncio.run(main())
@finish
""",
        fills=("extend", "iadd", "append", "slice", "concatenate", "update", "setdefault", "either"),
        asks=("thread",),
    ),
    "four tasks": Shape(
        _GET
        + """
async def work():
    @declare
    for doc in documents():
        checkpoint()
        ids = await get(doc)
        @fill ids
        @inline

async def main():
    await asyncio.gather(*(work() for _ in range(4)))

asyncio.run(main())
@finish
""",
        ordered=False,
        asks=("thread",),
    ),
    "four tasks, half done": Shape(
        _GET
        + """
async def work():
    @declare
    for doc in documents():
        checkpoint()
        @fill await get(doc)

async def main():
    await asyncio.gather(*(work() for _ in range(4)))

asyncio.run(main())
@finish
""",
        ordered=False,
        asks=("thread",),
        seconds=1.0,
        fills=("extend", "iadd", "slice", "update"),  # without a flush, tasks would lose each other's concatenate
        no_callback="a task is always inside a statement that fills: await first, then fill",
    ),
    "now and then half done": Shape(
        _GET
        + """
async def slow():
    @declare
    while not kit.enough():
        doc = next(numbers)
        @fill await get(doc)
        await asyncio.sleep(0.01)

async def work():
    @declare
    for doc in documents():
        checkpoint()
        ids = await get(doc)
        @fill ids

async def main():
    await asyncio.gather(slow(), work())

asyncio.run(main())
@finish
""",
        ordered=False,
        asks=("thread",),
        fills=("extend", "iadd", "slice", "update"),  # without a flush, tasks would lose each other's concatenate
    ),
    "async for": Shape(
        _GET
        + """
async def read():
    for doc in documents():
        await asyncio.sleep(0)
        yield doc

async def main():
    @declare
    async for doc in read():
        checkpoint()
        @fill encode(doc)
        @inline

asyncio.run(main())
@finish
"""
    ),
    "to_thread encodes": Shape(
        _GET
        + """
async def main():
    @declare
    for doc in documents():
        checkpoint()
        ids = await asyncio.to_thread(encode, doc)
        @fill ids
        @inline

asyncio.run(main())
@finish
"""
    ),
    "to_thread fills": Shape("""
@start
@flush
def work():
    @declare
    for doc in documents():
        checkpoint()
        @fill encode(doc)
        @inline

async def main():
    working = asyncio.create_task(asyncio.to_thread(work))
    while not working.done():
        await asyncio.sleep(0.001)
    await working

asyncio.run(main())
@finish
"""),
    "asyncio queue": Shape(
        _GET
        + """
async def produce(waiting):
    for doc in documents():
        await waiting.put(await get(doc))
    await waiting.put(None)

async def consume(waiting):
    @declare
    while (ids := await waiting.get()) is not None:
        checkpoint()
        @fill ids
        @inline

async def main():
    waiting = asyncio.Queue(3)
    await asyncio.gather(produce(waiting), consume(waiting))

asyncio.run(main())
@finish
"""
    ),
    "as completed": Shape(
        _GET
        + """
async def main():
    @declare
    while not kit.enough():
        for done in asyncio.as_completed([get(doc) for doc in itertools.islice(documents(), 5)]):
            ids = await done
            checkpoint()
            @fill ids

asyncio.run(main())
@finish
""",
        ordered=False,
    ),
    "async method": Shape(
        """
class Writer:
    def __init__(self):
        @start

    def flush(self):
        @take

    async def work(self):
        for doc in documents():
            checkpoint()
            await asyncio.sleep(0)
            @fill encode(doc)

    async def main(self):
        await asyncio.gather(self.work(), self.work())

writer = Writer()
on_pressure(writer.flush)
asyncio.run(writer.main())
while SIZE:
    writer.flush()
@report
""",
        places=("self",),
        ordered=False,
    ),
}
