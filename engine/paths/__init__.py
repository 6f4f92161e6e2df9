"""Effective paths: extraction, class paths, similarity and density (Qiu et al. 2018, 2019)."""
