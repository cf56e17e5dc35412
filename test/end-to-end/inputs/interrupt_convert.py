"""Stops a conversion while it measures: interrupt_convert.py COMMAND ... --out NAME. Prints the exit code, and what lies there under NAME."""
import glob
import signal
import subprocess
import sys
import time

name = sys.argv[-1]
process = subprocess.Popen(sys.argv[1:], stderr=subprocess.PIPE, text=True)
while not glob.glob(name + ".*/*") and process.poll() is None:
    time.sleep(0.01)
process.send_signal(signal.SIGTERM)
error = process.communicate()[1]
print("exit code", process.returncode, error.splitlines()[-1], "left:", glob.glob(name + "*"))
