"""A stand-in for a dev machine: an SSH server on loopback, and a page on a port that only it leads to."""

from internlm_setup.playground.sshd.machine import USER, DevMachine

__all__ = ["USER", "DevMachine"]
