"""Capacity planning: from measured coefficients and a profile of users to a platform's size.

Pure arithmetic over result lines (`tradecore.testing.results`): nothing here measures, reads a
file or a clock. `tradecore bench capacity` measures, `tradecore plan` asks. Every number of a plan
says where it comes from: measured here, stated by the profile, or assumed, with the source.
"""
