"""Simulated hosts that move: update_engine, GRUB, locksmithd, systemd and reboots on a clock of their own.

Pure: the clock is an argument, waiting is an event, chance is a function of the seed. What a host looks
like at any moment is a `console.demo.world.SimulatedHost`, so the static demo's answers serve here too.
"""
