"""What else can be asked over HTTP: the registers, the workers, one decision explained and judged again."""
