"""Gated linear units: the gate's activation times the other half (Shazeer 2020, 2002.05202)."""
