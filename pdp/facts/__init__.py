"""Facts: who, from what, to what, in which circumstances, at one instant. Pure; `build_facts` is the door."""
