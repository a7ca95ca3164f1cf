"""Runs a plan: isolated worker processes, one per job, and what they report."""
