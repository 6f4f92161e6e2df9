"""Pure functions from results to plotly figures: no ids, no files, no torch."""
