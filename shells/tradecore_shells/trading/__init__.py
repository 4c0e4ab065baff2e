"""The trading service: one cell, that is one partition of the log through one engine."""
