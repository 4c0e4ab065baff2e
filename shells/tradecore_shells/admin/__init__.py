"""What an operator does to the servers before the services run: topics, and a look at them."""
