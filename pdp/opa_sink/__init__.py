"""What other OPAs report: their decision logs and their status. docs/siem.md."""
