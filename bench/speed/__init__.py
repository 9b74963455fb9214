"""How fast the project is where people wait for it."""
