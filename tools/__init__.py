"""Programs for developers and CI, called by make. Nothing of the service imports them."""
