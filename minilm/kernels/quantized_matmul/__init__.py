"""Matrix products with weights stored in 8 bits (int8) or 4 (NF4)."""
