"""The pages: each answers one question."""
