"""Measurements and proofs that are too long for the test suite."""
