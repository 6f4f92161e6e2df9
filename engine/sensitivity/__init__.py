"""Neuron sensitivity: which units an attack moves most, what they are worth, and what silencing them does."""
