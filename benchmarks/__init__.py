"""Benchmarks: real servers, one load client that checks every answer; see docs/benchmarks.md."""
