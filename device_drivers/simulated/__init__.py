"""The twins: meters, hub, bench, gateway and S1SP that speak the real protocols."""
