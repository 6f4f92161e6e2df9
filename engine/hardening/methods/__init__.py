"""The hardening methods, one a file."""
