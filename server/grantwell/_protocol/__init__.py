"""The rules of OAuth as pure functions: no await, no clock, no randomness, no framework, no SQL."""
