"""The common corruptions of Hendrycks & Dietterich 2019: one function each, a table of their constants, one attack."""
