"""The command line: one file for each command, loaded when it is used. The console script is ``main.main``.

Exit codes: 0 done, 1 refused or wrong (said on standard error, without a traceback), 2 wrong usage.
"""
