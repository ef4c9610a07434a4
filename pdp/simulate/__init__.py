"""What a change would do before it is made: to everybody (`population`), on a later day, or to one request.

`judging` judges every user, terminal, system and context without asking the policy for each: rule by rule, each
rule once for what it can tell apart (`pdp.bundle.dependence`). `comparing` puts two of those side by side.
"""
