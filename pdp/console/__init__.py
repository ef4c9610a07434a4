"""The console: pages for administrators and auditors, made here and sent whole. Open `front.py` first."""
