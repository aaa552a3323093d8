"""Proof, not hope: capsules checked to the byte, packed, and unpacked elsewhere."""
