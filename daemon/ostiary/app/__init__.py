"""The whole daemon, put together: each file makes one part of it from those before."""
