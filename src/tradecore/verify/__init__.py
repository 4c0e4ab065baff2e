"""Judges of the installed build against data that somebody else made.

One module a kind of file; each compares and returns a verdict, none prints. The command line finds
the kind of a file by its content and prints what the judges return.
"""
