"""Test support for authors of adapters: conformance suites that every adapter passes, and harnesses to drive them."""
