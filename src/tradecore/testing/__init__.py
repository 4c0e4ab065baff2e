"""Kit for tests and benchmarks that ships with the library: workloads, oracle, fakes."""
