"""Programs that run inside lab hosts, under the host's own Python: copied there, never imported by remedy.

Each is one file that uses only the standard library (the site also uses pymysql, which is in the disk image).
"""
