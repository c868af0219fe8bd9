"""Runs a set of child processes as one program: starts, watches, restarts and stops them.

Knows nothing of Django; what Crewship's processes are is said in ``services``.
"""
