"""What the API says against something, in Japanese: its own `detail` and `next_step` are English (`telling.py` first).

The other modules are the table: English on the left as it stands where the error is raised, `{}` for each value in it,
and Japanese on the right. A test walks over every `raise` that can reach a page, and finds its words here.
"""
