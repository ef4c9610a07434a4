"""Who calls: enforcement points (PEPs) and machines, and what each of them may say."""
