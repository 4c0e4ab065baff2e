"""The risk service: exposures and rules over executions, commands back into the log."""
