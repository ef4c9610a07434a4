"""The process in which long work is done. It is started as `python -m pdp.job_child`, never imported by the service.

A part of the composition root: it makes engines, stores and targets out of the settings that its parent gives it. What
it says to its parent, `pdp.jobs.child` says. One module a kind of work, each with `work(order, say) -> Outcome`.
"""
