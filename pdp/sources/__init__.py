"""Where people and devices' states come from: sources are run, matched, bounded, merged in, and watched."""
