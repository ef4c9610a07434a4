"""The words of the house: pure values, no clock, no network, no disk."""
