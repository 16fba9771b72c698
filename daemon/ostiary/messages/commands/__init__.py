"""What may be asked, and what is answered: one request and one answer model a command, one file a
matter.

The same models serve MQTT, HTTP and the command line; the schema and the pages in docs/ are made
from them.
"""
