"""Studies: tables of experiments that are planned, run, recorded and compared with a baseline.

Internal: may change in any release; the command is ``weightspace study``.
"""
