"""Detecting attacked images by their paths, and the methods this is compared with (Qiu et al. 2019; definitions 3)."""
