#!/usr/bin/env python3
"""A LEVADA_TEST_CASE that fails is told once, with the seed that repeats it: check_failing.py PROGRAM"""

import subprocess
import sys

out = subprocess.run([sys.argv[1]], capture_output=True, text=True, timeout=60)
said = out.stdout
wrong = []
if out.returncode == 0:
    wrong.append("the program did not fail")
if said.count("CHECK( ch.size() == 2 )") != 1:
    wrong.append(f"the failed assertion stands there {said.count('CHECK( ch.size() == 2 )')} times")
if said.count("thrown on purpose") != 1:
    wrong.append(f"the exception stands there {said.count('thrown on purpose')} times")
if said.count("seed 1: virtual_loop(1).run(...) repeats it") != 2:
    wrong.append("the seed is not told with each")
if wrong:
    sys.exit("\n".join([*wrong, said]))
