"""Flatcar-like hosts with a real systemd on one Linux machine, for tests that need more than a model.

`python -m tests.lab up 3` starts them by hand (as root), the fixture `lab` in conftest for tests.
All lives below LAB_DIR (default /tmp/flatcar-lab); what was built there makes the next start warm.

Real: systemd 257 as init, OpenSSH behind a socket, sudo, D-Bus, journald, logind, systemd-sysext with
squashfs and erofs images; for each host a disk with a GPT in Flatcar's layout, /usr read-only in USR-A or
USR-B with a dm-verity hash tree behind it and the root hash in the slot's kernel file, ROOT, OEM and /boot
in their partitions; a reboot makes a new boot id and a fresh choice of slot by priority, tries, successful;
an Omaha v3 update server. Disks are named sda, nvme0n1, vda in turn.

Stand-ins on the same D-Bus interface, GPT and files, written for the lab and kept in `guest/`: update_engine
and its client, cgpt, rootdev, flatcar-setgoodroot, flatcar-update, locksmithd, locksmithctl, and the
programs inside the extensions (docker and containerd among them). Flatcar's own programs are not run here:
what the stand-ins say was written after recordings of those.

Not as on a Flatcar host:
- no kernel, GRUB, initrd, Ignition or SELinux run; nothing checks dm-verity at boot. `uname`, /proc/uptime,
  load and `dmesg` are the outer machine's, and so is whether its clock is synchronised.
- /usr and /boot are ext2 (btrfs and vfat there), /etc is a plain directory (an overlay or a confext there),
  USR partitions have 192 MiB (LAB_USR_MIB=2048 for Flatcar's size, at the cost of copying that much for
  each update).
- no udev (lsblk knows no labels), networkd, resolved, timesyncd, polkit, kubelet, etcd (the strategy
  etcd-lock only fails); docker and containerd are units and version lines, with no containers.
- update_engine acts only when asked: no periodic check, no signed payloads, no resume, no backoff. The
  error code after a kernel that could not be copied (1) is a guess.
- locksmithd does not wait for terminals that are logged in.
- flatcar-update fetches releases from the lab's server, and gives up at the first failure.
- no flatcar-reset, nothing acts on /selective-os-reset; no OEM or official optional extensions, no
  enabled-sysext.conf, no licenses.json.bz2; no hosts without slots (/usr/.noupdate).
- /sys/block shows the disk also under its loop device's name, and free loop devices in plenty.
- git, vim, wget, unzip, socat, sgdisk, btrfs are absent; the stand-ins' Python hides in /usr/lib/lab.
"""
