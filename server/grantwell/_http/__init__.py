"""The only rooms that know HTTP: requests in, answers out, no decisions."""
