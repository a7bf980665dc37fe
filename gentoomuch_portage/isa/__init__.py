"""Instruction sets: which code runs on which CPU."""
