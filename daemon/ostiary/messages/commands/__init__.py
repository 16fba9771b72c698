"""Requests and answers of the commands: one model of each for a command, one file for a matter.

The same models serve MQTT, HTTP and the command line; the schema and the pages in docs/ are made
from them.
"""
