"""Test packs: test modules by subject, and the manifests that select from them."""
