"""Long work beside a worker: in a child process, bounded, told as it goes, and kept with the revision.

job        what is asked, how far it is, what came of it
child      the process that does it (`pdp.job_child`), from its parent's side
register   jobs in the control database, which every worker sees
running    one worker's jobs
"""
