"""The services: thin asyncio shells around the library, one folder per deployable.

`plumbing` owns everything that would otherwise be copied: ports and their adapters, settings,
running and stopping, metrics, logs. A service folder holds its settings, its handlers and its SQL,
imports the library and the plumbing, and never another service.
"""
