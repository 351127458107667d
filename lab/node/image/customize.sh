#!/bin/sh
# Runs once at the end of the image's build; $1 is the new root directory. What differs between nodes (name, keys,
# addresses, credentials) is laid down when a node is created.
set -eu
root=$1
here=$(dirname "$0")

cp -R --preserve=mode "$here/root/." "$root/"

# A privileged container shares most of the kernel's settings with the machine: it must not set them at its boot.
chroot "$root" systemctl --quiet mask systemd-sysctl.service
chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    e2scrub_all.timer e2scrub_reap.service fstrim.timer

# Each node makes its own identity at its first boot.
rm -f "$root"/etc/ssh/ssh_host_*_key*
: >"$root/etc/machine-id"
rm -f "$root/etc/hostname" "$root/etc/resolv.conf"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*
