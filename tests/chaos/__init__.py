"""Chaos on the real servers: load, faults, and a checker that trusts nobody's word.

    make chaos                      the whole thing, about a quarter of an hour
    python -m chaos --seed 7 --short

Processes: Kafka, Postgres and Redis of our own; two trading services (primary and standby), two
portfolio workers on one database, risk; one client. `rig` keeps them running and breaks them,
`load` is the client, `checker` judges afterwards from the client's acknowledgement file, the topics
and the database.
"""
