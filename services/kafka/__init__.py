"""Apache Kafka from its jars: one broker that is its own controller."""
