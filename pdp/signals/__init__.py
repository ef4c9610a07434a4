"""What workers tell one another: that something changed, and is worth a look."""
