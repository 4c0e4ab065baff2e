"""Real servers on loopback, for tests and for trying: Apache Kafka, PostgreSQL, Redis.

    python -m services up | down | status | wipe        (`make services-up`, `make services-down`)

`install` finds or fetches the programs, one module a server starts and stops it, `stack` holds the
three together with the state file, `testing` lends them to tests. Everything is kept below
`.services/` of the checkout. This is the developer's side of the house: nothing of it is packed.
"""
