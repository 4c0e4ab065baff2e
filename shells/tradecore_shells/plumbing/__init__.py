"""What all services share: ports, adapters, settings, running, metrics, logs."""
