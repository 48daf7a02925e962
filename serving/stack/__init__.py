"""The whole online stack on one machine: servers, gateway, events, consumer and rollout controller.

``Stack`` is what ``slate up`` runs, and a context manager for programs::

    with Stack(store, folder, config=path, overrides=apart(folder)) as stack:
        ask(stack.gateway_url, stack.events_url, stack.api_key)
"""

from serving.stack.apart import apart
from serving.stack.down import take_down
from serving.stack.ports import Ports
from serving.stack.process import Process
from serving.stack.record import Record
from serving.stack.stack import Stack

__all__ = ["Ports", "Process", "Record", "Stack", "apart", "take_down"]
