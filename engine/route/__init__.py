"""The critical attacking route: the units an attack travels through (Li et al. 2020; definitions 5)."""
