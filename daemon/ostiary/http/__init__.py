"""The local console and the HTTP API: another door to the same commands as MQTT.

Needs the extra `ostiary[console]`. `create_app` builds the application, `Server` runs it.
"""
