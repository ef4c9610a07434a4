"""Benchmarks: `python -m bench` measures side by side, `python bench/report.py` writes docs/performance.md.

| module | |
|---|---|
| `prefecture` | the demonstration directory, and a realistic stream of questions over it |
| `documents` | the same questions as an OPA server and Cerbos are asked: with the facts that our own code builds |
| `processes` | starting, awaiting, weighing (/proc) and ending processes |
| `contestants` | what is measured, and how each of them is started |
| `load` | wrk (closed loop) and vegeta (open loop) |
| `agreement`, `hit_rate` | do all give the same decisions; how often would a cache have known |
| `course` | the order of a run: rounds, cells, contestants |
| `summary`, `limits`, `table` | what the raw figures come to |
| `report`, `chart` | docs/performance.md and its plots, out of a result file |
| `flame` | `make profile` |
| `declog` | the decision log alone |
| `faults` | what a fault of Redis costs while it lasts: `python -m bench.faults` |
"""
