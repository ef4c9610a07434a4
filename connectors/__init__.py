"""Islands: one package per vendor or outside system. They import ports and models of `pdp`, never one another."""
