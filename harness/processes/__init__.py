"""Calls in processes of their own: what they may use, how they answer, what ends with them.

`client` is the coordinator's side. `serving` runs in the supervisor, which has loaded the core
only, and in the parents that it forks, each of which has loaded one plugin besides. `packing` is
how answers and tables travel, `trees` finds and ends whatever a call has started.
"""
