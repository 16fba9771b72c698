"""Ports that servers of tests are given."""

from testing.ports import free_port


def test_no_port_is_given_twice_to_servers_that_start_together() -> None:
    ports = [free_port() for _ in range(1000)]
    assert len(set(ports)) == len(ports)
