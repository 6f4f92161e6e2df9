"""Where in the image a class, or a unit, has its evidence."""
