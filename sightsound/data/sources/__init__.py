"""Data sets that become tables: one small file each."""
