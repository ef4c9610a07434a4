"""The commands of `pdp`, one module per group. They import late: `pdp --help` loads Typer and nothing else."""
