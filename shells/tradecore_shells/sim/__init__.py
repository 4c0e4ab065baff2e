"""A deterministic simulator: the services as they are, on virtual time, in a world that fails.

`loop` is the event loop, `log`, `disk`, `store`, `cache` and `clock` are ports that lose, repeat,
delay, tear and lie as `faults` says, `world` holds the nodes, `oracles` judges what came out.
`python -m tradecore_shells.sim --seed N` runs one world. docs/reference/simulator.md.
"""
