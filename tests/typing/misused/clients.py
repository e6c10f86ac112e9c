"""What both checkers must refuse: each line that ends in "refused", and no other. Never run."""

import httpx
import httpx2

from resilient_poll import AsyncDashScope, DashScope, RetryPolicy
from resilient_poll.ledger import AsyncLedger
from resilient_poll.transports import httpx as for_httpx

DashScope(dialect=3)  # refused
DashScope(timeout=3)  # refused
client = DashScope()
client.submit()  # refused
client.submit("model", "a cat")  # refused
client.submit("model", {}).wait("300")  # refused
client.submit("model", {}).wait(timeout="300")  # refused
nothing = client.submit("model", {}).wait().no_such_thing  # refused
DashScope(ledger="jobs.sqlite3")  # refused
AsyncLedger("jobs.sqlite3")  # refused
RetryPolicy(attempts="3")  # refused
RetryPolicy(too_late="later")  # refused
for_httpx.resilient_transport(places="3")  # refused
for_httpx.resilient_transport(httpx2.HTTPTransport())  # refused
httpx2.Client(transport=for_httpx.resilient_transport())  # refused
httpx.AsyncClient(transport=for_httpx.resilient_transport())  # refused


async def awaiting() -> None:
    """What is awaited is not what is not."""
    task = await AsyncDashScope().submit("model", {})
    _ = task.wait().video_url  # refused
    for _ in task.updates():  # refused
        await task.wait(timeout=3.0)
