"""The benchmark suite as a library: every row of the speed table is a named function here.

Part of the library's edge: it reads clocks, starts processes and writes temporary files. Nothing
here prints; ``tradecore bench`` shows the results, and tests run every benchmark with tiny inputs.
Each number comes with its conditions, its input's hash and the hash of what was computed.
"""
