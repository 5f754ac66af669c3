"""Function calls in separate processes, with limits on time and memory.

`client` is the coordinator's side. `serving` runs in the supervisor, which has loaded only the
core, and in the parents: processes that the supervisor forks, each with one plugin loaded. Every
call runs in a fork of a parent. `packing` writes answers and tables to files; `trees` finds and
ends the processes that a call has started.
"""
