"""Fails unless two files hold the same tensors, bit for bit; what their metadata say may differ. Usage: same_tensors.py A B"""
import sys

import tensors

sys.exit(tensors.load(sys.argv[1]) != tensors.load(sys.argv[2]))
