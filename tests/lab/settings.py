"""Paths, names and numbers of the lab; the environment (LAB_*) may set them, once per process."""

from __future__ import annotations

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
GUEST = HERE / "guest"

LAB_DIR = Path(os.environ.get("LAB_DIR", "/tmp/flatcar-lab"))
SUITE = os.environ.get("LAB_SUITE", "trixie")
"""Debian release of the hosts; 257 is its systemd, as on Flatcar 4593."""
PREFIX = os.environ.get("LAB_SUBNET", "10.213.0")
"""First three numbers of a /24 that nothing else on the machine uses."""
BRIDGE = os.environ.get("LAB_BRIDGE", "flab0")
SERVER_PORT = int(os.environ.get("LAB_PORT", "8765"))
FIRST_LOOP = int(os.environ.get("LAB_FIRST_LOOP", "1000"))
"""Disks are loop devices from here on, out of the way of those that extensions take."""
USR_SECTORS = int(os.environ.get("LAB_USR_MIB", "192")) * 2048
DISK_NAMES = tuple(os.environ.get("LAB_DISKS", "sda,nvme0n1,vda").split(","))
"""Hosts see their disks under these names in turn: naming differs between machines."""
FIRMWARE_S = float(os.environ.get("LAB_FIRMWARE_SECONDS", "0"))
MAX_HOSTS = 200

GATEWAY = f"{PREFIX}.1"
SERVER = f"http://{GATEWAY}:{SERVER_PORT}"
KEY = LAB_DIR / "key"
KNOWN_HOSTS = LAB_DIR / "known_hosts"
BASE = LAB_DIR / "base"
TREE = LAB_DIR / "tree"
HOSTS = LAB_DIR / "hosts"
IMAGES = LAB_DIR / "images"
RELEASES = LAB_DIR / "releases"
CHANNELS_FILE = LAB_DIR / "channels.json"
EVENTS_FILE = LAB_DIR / "omaha.jsonl"
SERVER_FILE = LAB_DIR / "server.json"
