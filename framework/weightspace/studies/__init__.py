"""Studies: tables of experiments that are planned, run, recorded and compared with a baseline (``weightspace study``).

Internal: may change in any release.
"""
