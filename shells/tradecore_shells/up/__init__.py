"""The whole exchange on one machine, in one process, with nothing to set up."""
