"""Test-lab orchestration harness for SMETS1 device rigs (SEC Appendix AK)."""
