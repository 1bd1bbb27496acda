"""A simulated drive, drawn from nothing: road, vehicles, plates, and the truth about each of them."""
