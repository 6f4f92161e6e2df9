"""Architectures: plain modules that take images in [0, 1] and give logits, with normalisation as their first module."""
