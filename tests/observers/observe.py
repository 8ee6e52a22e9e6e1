"""An observer that knows nothing of muster: plain NATS subscriptions, and CloudEvents read by their own SDK.

usage: observe.py NATS_URL COUNT FILTER...
Prints "ready" once subscribed, then a line for each event: filter, subject, type, id. Ends when every filter has shown
COUNT events. An event that the SDK refuses ends it with status 1.
"""

import asyncio
import json
import sys

import nats
from cloudevents.core.formats.json import JSONFormat


async def main(url, count, filters):
    client = await nats.connect(url)
    seen = {name: 0 for name in filters}
    done = asyncio.Event()
    failed = []

    def watch(name):
        async def one(message):
            try:
                event = JSONFormat().read(None, message.data)
                attributes = dict(event.get_attributes())
                assert message.header.get("content-type") == "application/cloudevents+json", message.header
                print(json.dumps({"filter": name, "subject": message.subject, "type": attributes["type"], "id": attributes["id"]}), flush=True)
            except Exception as error:  # whatever the SDK objects to
                failed.append(f"{message.subject}: {error!r}: {message.data[:400]!r}")
                done.set()
            seen[name] += 1
            if all(number >= count for number in seen.values()):
                done.set()

        return one

    for name in filters:
        await client.subscribe(name, cb=watch(name))
    await client.flush()
    print("ready", flush=True)
    await done.wait()
    await client.close()
    if failed:
        sys.exit("\n".join(failed))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
