"""What events mean for people's books: fills, positions, balances, statements, equity.

Pure policy over events and arrays, for the portfolio service, its database and its checkers: the
same functions write the tables, recompute them for `tradecore reconcile`, and make statements.
Money is int64 throughout; the bulk kernels (Numba) are imported only when something is marked.

- `terms`: what an instrument's lots and ticks are worth;
- `fold`: event frames to columns of changes;
- `book`: everybody's positions and balances in memory;
- `marks`: prices and what things are worth at them;
- `statement`, `lots`: reports that add up to the unit;
- `document`, `sessions`: the messages of the cache and of `user-events`;
- `differences`: two states compared, every difference named.
"""
