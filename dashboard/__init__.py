"""The Dash front end over the engine."""
